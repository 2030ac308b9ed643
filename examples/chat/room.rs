//! Rooms: how one line reaches thousands.
//!
//! Posting a line appends it to the room's pending text, which takes no longer in a room of
//! thousands than in an empty one, and starts a task that delivers if there is none. That task
//!
//! - takes all that is pending, which all members then share: nothing is copied for each of them;
//! - puts one message into each member's inbox, which wakes the member's connection if it sleeps,
//!   and yields after every few, so that the connections that were woken write to their sockets
//!   meanwhile, on all workers, instead of lining up;
//! - continues with what has become pending since, or ends. So the busier a room is, the more lines
//!   each wake, each message and each write carries; and a quiet room costs nothing at all.
//!
//! An inbox is full when its reader cannot keep up. The others do not wait: the reader has missed
//! lines, so it gets no more of them but a last message, and is dropped.
//!
//! If more is posted than delivered, the pending text is full. The next delivery takes it, and its
//! message makes each member whose line waits try again.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist::protocol::{SendError, Sender};
use parking_lot::Mutex;

/// Posted lines, shared by all members.
type Text = Arc<[u8]>;

type Members = Arc<Vec<Arc<Person>>>;

/// Messages to a person's connection.
pub(crate) enum Message {
    /// Whole lines, posted in the room of this number: a person that has just left that room
    /// ignores them.
    Lines(u64, Text),
    /// The chat closes.
    Closing,
}

/// A person's connection, as rooms see it.
pub(crate) struct Person {
    inbox: Sender<Message>,
    name: Mutex<String>,
    /// A message did not fit into the inbox. Set by the task that delivers, never cleared; read by
    /// the connection at its next message. Relaxed: the lock of the inbox orders it.
    missed: AtomicBool,
}

impl Person {
    pub(crate) fn new(inbox: Sender<Message>) -> Person {
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

    pub(crate) fn send(&self, word: Message) {
        if self.has_missed_something() {
            return;
        }
        // A connection that has ended needs nothing; its session takes it from the room.
        if let Err(SendError::Full(word)) = self.inbox.try_send(word) {
            self.missed.store(true, Ordering::Relaxed);
            // The connection may have emptied its inbox before it could see the mark. Then this
            // word wakes it, and finds the mark.
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

/// The pending text is full. Each member gets a message when it is on its way.
#[derive(Debug)]
pub(crate) struct Full;

impl Room {
    pub(crate) fn new(id: u64, name: &str) -> Room {
        Room { id, name: name.to_owned(), state: Mutex::default() }
    }

    /// Posts a line to all members, its author included, which shows the author its place in the
    /// order.
    pub(crate) fn post(self: &Arc<Room>, line: fmt::Arguments<'_>) -> Result<(), Full> {
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

    /// Adds a member. Returns the new number of members.
    pub(crate) fn add(&self, person: &Arc<Person>) -> usize {
        let mut state = self.state.lock();
        Arc::make_mut(&mut state.members).push(Arc::clone(person));
        state.members.len()
    }

    /// Removes a member. Returns the new number of members.
    pub(crate) fn remove(&self, person: &Arc<Person>) -> usize {
        let mut state = self.state.lock();
        let members = Arc::make_mut(&mut state.members);
        members.retain(|member| !Arc::ptr_eq(member, person));
        members.len()
    }

    pub(crate) fn members(&self) -> Members {
        Arc::clone(&self.state.lock().members)
    }

    /// Announces joining and leaving, in small rooms alone: between thousands this would be
    /// millions of lines.
    pub(crate) fn announce(self: &Arc<Room>, members: usize, line: fmt::Arguments<'_>) {
        if members <= ANNOUNCED {
            // A full room drops announcements first.
            let _ = self.post(line);
        }
    }

    /// The pending text, and the members to deliver it to; `None` ends the delivery.
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
        // Begins at a random member, so that each member with a waiting line is sometimes first.
        let (later, first) = members.split_at(fastrand::usize(..=members.len()));
        for few in first.chunks(FEW).chain(later.chunks(FEW)) {
            few.iter().for_each(|member| member.send(Message::Lines(room.id, Arc::clone(&text))));
            heist::yield_now().await;
        }
    }
}

/// The most text that may wait to be delivered.
const MAX_PENDING: usize = 16 * 1024;

/// The most members of a room with announcements of joining and leaving.
const ANNOUNCED: usize = 100;

/// How many members get their message before other tasks run: about 10 µs.
const FEW: usize = 64;
