//! Rooms: how one line reaches thousands.
//!
//! Saying something appends it to the room's pending text, which takes no longer in a room of
//! thousands than in an empty one, and starts a task that delivers if there is none. That task
//!
//! - takes all that is pending, which all members then share: nothing is copied for each of them;
//! - puts one message into each member's inbox, which wakes the member's connection if it sleeps,
//!   and gives way after every few, so that those who were woken write to their sockets meanwhile,
//!   on all workers, instead of lining up;
//! - goes on with what has become pending since, or ends. So the busier a room is, the more lines
//!   each wake, each message and each write carries; and a quiet room costs nothing at all.
//!
//! An inbox that is full is that of a reader who cannot keep up. The others do not wait: the reader
//! has missed something from then on, so it gets nothing more, and is told and dropped.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist::protocol::{SendError, Sender};
use parking_lot::Mutex;

/// What was said, shared by all who hear it.
type Text = Arc<[u8]>;

type Members = Arc<Vec<Arc<Person>>>;

/// What a member's connection is told.
pub(crate) struct News {
    /// Where it was said: who has just left does not want to hear it.
    pub(crate) room: u64,
    /// Whole lines.
    pub(crate) text: Text,
}

/// Somebody's connection, as rooms see it.
pub(crate) struct Person {
    inbox: Sender<News>,
    name: Mutex<String>,
    /// News did not fit into the inbox. Set by whoever delivers, never cleared; the connection looks
    /// at it when it gets round to its inbox. Nothing else is published through it: relaxed.
    missed: AtomicBool,
}

impl Person {
    pub(crate) fn new(inbox: Sender<News>) -> Person {
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

    fn tell(&self, room: u64, text: &Text) {
        let news = News { room, text: Arc::clone(text) };
        // Who has gone needs nothing; the session takes it from the room.
        let full = |outcome| matches!(outcome, Err(SendError::Full(_)));
        if !self.has_missed_something() && full(self.inbox.try_send(news)) {
            self.missed.store(true, Ordering::Relaxed);
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

/// More was said than could be delivered.
#[derive(Debug)]
pub(crate) struct Busy;

impl Room {
    pub(crate) fn new(id: u64, name: &str) -> Room {
        Room { id, name: name.to_owned(), state: Mutex::default() }
    }

    /// Says a line to all members, whoever says it included: that is how it knows that the line went
    /// out, and where in the order.
    pub(crate) fn say(self: &Arc<Room>, line: fmt::Arguments<'_>) -> Result<(), Busy> {
        let line = format!("{line}\n");
        let mut state = self.state.lock();
        if state.pending.len() + line.len() > MAX_PENDING {
            return Err(Busy);
        }
        state.pending.extend_from_slice(line.as_bytes());
        if !mem::replace(&mut state.delivering, true) {
            drop(state);
            heist::spawn(deliver(Arc::clone(self)));
        }
        Ok(())
    }

    pub(crate) fn join(self: &Arc<Room>, person: &Arc<Person>) {
        let members = {
            let mut state = self.state.lock();
            Arc::make_mut(&mut state.members).push(Arc::clone(person));
            state.members.len()
        };
        self.announce(members, format_args!("* {} joined {}", person.name(), self.name));
    }

    /// How many are left.
    pub(crate) fn leave(self: &Arc<Room>, person: &Arc<Person>) -> usize {
        let members = {
            let mut state = self.state.lock();
            let members = Arc::make_mut(&mut state.members);
            members.retain(|member| !Arc::ptr_eq(member, person));
            members.len()
        };
        self.announce(members, format_args!("* {} left {}", person.name(), self.name));
        members
    }

    pub(crate) fn members(&self) -> Members {
        Arc::clone(&self.state.lock().members)
    }

    /// Says who comes and goes, where that is of interest: if thousands come at once, telling each
    /// of each would be millions of lines.
    pub(crate) fn announce(self: &Arc<Room>, members: usize, line: fmt::Arguments<'_>) {
        if members <= ANNOUNCED {
            // In a busy room this is what can be left out.
            let _ = self.say(line);
        }
    }

    /// What is to be delivered to whom; `None` if that is nothing, and the delivery is over.
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
        for few in members.chunks(FEW) {
            few.iter().for_each(|member| member.tell(room.id, &text));
            heist::yield_now().await;
        }
    }
}

/// The most text that may wait to be delivered.
const MAX_PENDING: usize = 16 * 1024;

/// Up to how many members are told who comes and goes.
const ANNOUNCED: usize = 100;

/// How many are told before others have their turn: about 10 µs' worth.
const FEW: usize = 64;
