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
//!
//! If more is said than is delivered, those who say it wait, and whoever waits is not read from. That
//! one person does not fill the room is seen to before: see `share`.

use std::fmt;
use std::mem;
use std::sync::Arc;

use event_listener::Event;
use parking_lot::Mutex;

use crate::person::{Person, Text};

type Members = Arc<Vec<Arc<Person>>>;

pub(crate) struct Room {
    pub(crate) id: u64,
    pub(crate) name: String,
    state: Mutex<State>,
    /// What was pending is being delivered: there is room again.
    taken: Event,
}

#[derive(Default)]
struct State {
    /// Shared with a delivery that is under way; changed by copying then.
    members: Members,
    pending: Vec<u8>,
    /// A task delivers, and will look here again before it ends.
    delivering: bool,
}

impl Room {
    pub(crate) fn new(id: u64, name: &str) -> Room {
        Room { id, name: name.to_owned(), state: Mutex::default(), taken: Event::new() }
    }

    /// Says a line to all members, the one that says it included: that is how a person knows that the
    /// line went out, and where in the order. Waits while there is no room for it.
    pub(crate) async fn say(self: &Arc<Room>, line: &str) {
        while !self.try_say(line) {
            let taken = self.taken.listen();
            // There may have been room since the first look.
            if self.try_say(line) {
                return;
            }
            taken.await;
        }
    }

    /// Whether there was room for the line.
    fn try_say(self: &Arc<Room>, line: &str) -> bool {
        let mut state = self.state.lock();
        if state.pending.len() + line.len() + 1 > MAX_PENDING {
            return false;
        }
        state.pending.extend_from_slice(line.as_bytes());
        state.pending.push(b'\n');
        if !mem::replace(&mut state.delivering, true) {
            drop(state);
            heist::spawn(deliver(Arc::clone(self)));
        }
        true
    }

    pub(crate) fn join(&self, person: &Arc<Person>) {
        Arc::make_mut(&mut self.state.lock().members).push(Arc::clone(person));
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
            self.try_say(&line.to_string());
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
        room.taken.notify(usize::MAX);
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
