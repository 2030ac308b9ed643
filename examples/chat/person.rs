//! A person, as rooms see it: a name, a place, and an inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;

/// What was said, shared by all who hear it.
pub(crate) type Text = Arc<[u8]>;

/// What a person's connection is to write, in this order.
pub(crate) enum Word {
    /// Whole lines, said in the room of this number.
    Said(u64, Text),
    /// What answers a line of the person's own.
    Answer(String),
    /// There is nothing more to come.
    Last,
}

pub(crate) struct Person {
    inbox: Sender<Word>,
    /// Full when an answer was sent, which the person's other loop waits for.
    sent: (Sender<()>, Receiver<()>),
    name: Mutex<String>,
    /// The room that this person hears, 0 for none. A room may have it as a member a moment longer,
    /// or already. What matters is the order in the inbox, which is behind a lock: relaxed.
    room: AtomicU64,
    /// What was said did not fit into the inbox. Set by whatever delivers, never cleared, and looked
    /// at by the connection when it takes the next word. Nothing else is published by it: relaxed.
    missed: AtomicBool,
}

impl Person {
    pub(crate) fn new() -> (Arc<Person>, Receiver<Word>) {
        let (inbox, words) = unbounded();
        let (name, room, missed) = Default::default();
        (Arc::new(Person { inbox, sent: bounded(1), name, room, missed }), words)
    }

    pub(crate) fn name(&self) -> String {
        self.name.lock().clone()
    }

    pub(crate) fn set_name(&self, name: &str) {
        name.clone_into(&mut self.name.lock());
    }

    pub(crate) fn hears(&self, room: u64) -> bool {
        self.room.load(Ordering::Relaxed) == room
    }

    pub(crate) fn set_room(&self, room: u64) {
        self.room.store(room, Ordering::Relaxed);
    }

    pub(crate) fn has_missed_something(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    /// Passes on what was said.
    pub(crate) fn tell(&self, room: u64, text: &Text) {
        if !self.hears(room) || self.has_missed_something() {
            return;
        }
        // One task delivers to a room, so this is as good as a bounded queue, and takes no memory
        // ahead.
        match self.inbox.len() < INBOX {
            true => self.send(Word::Said(room, Arc::clone(text))),
            false => self.missed.store(true, Ordering::Relaxed),
        }
    }

    /// Passes on what only this person is to hear.
    pub(crate) fn send(&self, word: Word) {
        // It fails only where the connection has ended.
        let _ = self.inbox.try_send(word);
    }

    /// An answer was sent.
    pub(crate) fn note_sent(&self) {
        // Full already: nothing waited for the one before.
        let _ = self.sent.0.try_send(());
    }

    /// Waits until an answer is sent: a person that does not read the answers is not read from.
    pub(crate) async fn sent(&self) {
        let _ = self.sent.1.recv().await;
    }
}

/// How many words may wait for a person.
const INBOX: usize = 64;
