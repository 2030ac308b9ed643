//! Rooms: how one line reaches thousands.
//!
//! Saying something appends it to the room's pending text, which takes no longer in a room of
//! thousands than in an empty one, and starts a task that delivers if there is none. That task
//!
//! - takes all that is pending, which all members then share: nothing is copied for each of them;
//! - puts one message into each member's inbox, which wakes the member's connection if it sleeps,
//!   and yields after every few, so that the connections that were woken write to their sockets
//!   meanwhile, on all workers, instead of lining up;
//! - goes on with what has become pending since, or ends. So the busier a room is, the more lines
//!   each wake, each message and each write carries; and a quiet room costs nothing at all.
//!
//! A full inbox is that of a reader that cannot keep up. The others do not wait: the reader has
//! missed something from then on, so it gets nothing more, and is told and dropped.
//!
//! If more is said than is delivered, the pending text is full. The next delivery takes it, and the
//! message that it sends to each member also tells a member that waits to speak to try again.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist::protocol::{SendError, Sender};
use parking_lot::Mutex;

/// What was said, shared by all members.
type Text = Arc<[u8]>;

type Members = Arc<Vec<Arc<Person>>>;

/// What a person's connection is told.
pub(crate) enum Word {
    /// Whole lines, said in the room of this number: a person that has just left does not want to
    /// hear them.
    Said(u64, Text),
    /// The chat closes.
    Closing,
}

/// A person's connection, as rooms see it.
pub(crate) struct Person {
    inbox: Sender<Word>,
    name: Mutex<String>,
    /// A word did not fit into the inbox. Set by the task that delivers, never cleared; the
    /// connection looks at it when it takes the next word. Relaxed: the lock of the inbox orders it.
    missed: AtomicBool,
}

impl Person {
    pub(crate) fn new(inbox: Sender<Word>) -> Person {
        Person { inbox, name: Mutex::default(), missed: AtomicBool::new(false) }
    }

    pub(crate) fn name(&self) -> String {
        self.name.lock().clone()
    }

    pub(crate) fn set_name(&self, name: &str) {
        name.clone_into(&mut self.name.lock());
    }

    pub(crate) fn has_missed_something(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    pub(crate) fn send(&self, word: Word) {
        if self.has_missed_something() {
            return;
        }
        // A connection that has ended needs nothing; its session takes it from the room.
        if let Err(SendError::Full(word)) = self.inbox.try_send(word) {
            self.missed.store(true, Ordering::Relaxed);
            // The connection may have emptied its inbox before it could see the mark. Then this word
            // wakes it, and finds the mark.
            let _ = self.inbox.try_send(word);
        }
    }
}

pub(crate) struct Room {
    pub(crate) id: u64,
    pub(crate) name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Shared with a delivery that is under way; changed by copying then.
    members: Members,
    pending: Vec<u8>,
    /// A task delivers, and will look here again before it ends.
    delivering: bool,
}

/// As much as may be waits to be delivered. Each member gets a word when that is on its way.
#[derive(Debug)]
pub(crate) struct Full;

impl Room {
    pub(crate) fn new(id: u64, name: &str) -> Room {
        Room { id, name: name.to_owned(), state: Mutex::default() }
    }

    /// Says a line to all members, the one that says it included: that is how a person knows that the
    /// line went out, and where in the order.
    pub(crate) fn say(self: &Arc<Room>, line: fmt::Arguments<'_>) -> Result<(), Full> {
        let line = format!("{line}\n");
        let mut state = self.state.lock();
        if state.pending.len() + line.len() > MAX_PENDING {
            return Err(Full);
        }
        state.pending.extend_from_slice(line.as_bytes());
        if !mem::replace(&mut state.delivering, true) {
            drop(state);
            heist::spawn(deliver(Arc::clone(self)));
        }
        Ok(())
    }

    /// How many members there are then.
    pub(crate) fn add(&self, person: &Arc<Person>) -> usize {
        let mut state = self.state.lock();
        Arc::make_mut(&mut state.members).push(Arc::clone(person));
        state.members.len()
    }

    /// How many members are left.
    pub(crate) fn remove(&self, person: &Arc<Person>) -> usize {
        let mut state = self.state.lock();
        let members = Arc::make_mut(&mut state.members);
        members.retain(|member| !Arc::ptr_eq(member, person));
        members.len()
    }

    pub(crate) fn members(&self) -> Members {
        Arc::clone(&self.state.lock().members)
    }

    /// Says which people come and go, where that is of interest: if thousands come at once, telling
    /// each of each would be millions of lines.
    pub(crate) fn announce(self: &Arc<Room>, members: usize, line: fmt::Arguments<'_>) {
        if members <= ANNOUNCED {
            // In a busy room this is what can be left out.
            let _ = self.say(line);
        }
    }

    /// What is to be delivered, and to which members; `None` if that is nothing, and the delivery is
    /// over.
    fn next_batch(&self) -> Option<(Text, Members)> {
        let mut state = self.state.lock();
        if state.pending.is_empty() {
            state.delivering = false;
            return None;
        }
        let text = mem::take(&mut state.pending).into();
        Some((text, Arc::clone(&state.members)))
    }
}

async fn deliver(room: Arc<Room>) {
    while let Some((text, members)) = room.next_batch() {
        // Begins anywhere, so that each member that waits to speak is among the first now and then.
        let (later, first) = members.split_at(fastrand::usize(..=members.len()));
        for few in first.chunks(FEW).chain(later.chunks(FEW)) {
            few.iter().for_each(|member| member.send(Word::Said(room.id, Arc::clone(&text))));
            heist::yield_now().await;
        }
    }
}

/// The most text that may wait to be delivered.
const MAX_PENDING: usize = 16 * 1024;

/// Up to how many members are told which people come and go.
const ANNOUNCED: usize = 100;

/// How many are told before other tasks have their turn: about 10 µs' worth.
const FEW: usize = 64;
