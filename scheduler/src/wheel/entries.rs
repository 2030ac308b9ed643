//! The entries of a queue's timers, in reference-counted chunks.
//!
//! A timer reaches its entry without a lock, from any thread, and holds the entry's chunk. The queue
//! holds a chunk, under its lock, while an entry of it is in use. So a chunk never moves, and it is
//! freed when the last of its entries was released and the last timer has dropped its reference.

#![cfg_attr(heist_loom, allow(clippy::modulo_one, reason = "a chunk has one place under loom"))]

use std::sync::Arc;
use std::task::Waker;

use super::cancelled::Cancelled;
use super::entry::Entry;
use super::tick::Tick;
use crate::chunks::CHUNK;
use crate::clock::Instant;
use crate::mutant::{self, Mutant};

/// Entries next to each other, and the stack to which they are handed back.
#[derive(Debug)]
pub(crate) struct Chunk {
    cancelled: Arc<Cancelled>,
    entries: [Entry; CHUNK],
}

/// The chunks of a queue, by number. Belongs to the queue's lock.
#[derive(Debug, Default)]
pub(super) struct Entries {
    chunks: Vec<Option<Arc<Chunk>>>,
}

impl Chunk {
    fn new(cancelled: &Arc<Cancelled>) -> Arc<Chunk> {
        let entries = std::array::from_fn(|_| Entry::new());
        Arc::new(Chunk { cancelled: Arc::clone(cancelled), entries })
    }

    /// The entry with this index, which is in this chunk.
    #[inline]
    pub(super) fn at(&self, index: u32) -> &Entry {
        &self.entries[index as usize % CHUNK]
    }

    /// Whether its entries are handed back to this stack.
    #[inline]
    pub(super) fn hands_back_to(&self, cancelled: &Arc<Cancelled>) -> bool {
        Arc::ptr_eq(&self.cancelled, cancelled)
    }

    /// Whether the timer with this entry will wake `waker` no later than at `tick`.
    #[inline]
    pub(crate) fn waits(&self, index: u32, tick: Tick, waker: &Waker) -> bool {
        self.at(index).waits(tick, waker)
    }

    /// Whether a timer that has to wake `waker` at `tick` is armed by taking over this entry, which was
    /// another's: see [`Entry::take_over`].
    #[inline]
    pub(crate) fn take_over(&self, index: u32, tick: Tick, now: Instant, waker: &Waker) -> bool {
        self.at(index).take_over(tick, Tick::reached(now), waker)
    }

    /// Whether a task that runs with the time `now` has nothing to do for its timer, whose entry was
    /// filed at the deadline or earlier: see [`Timer::may_skip_poll`](crate::time::Timer::may_skip_poll).
    #[inline]
    pub(crate) fn may_skip_poll(&self, index: u32, deadline: Instant, now: Instant) -> bool {
        let filed = || self.at(index).is_filed() || mutant::on(Mutant::TrustUnfiled);
        now < deadline && filed()
    }

    /// Moves a timer to another tick if that is no earlier, without a lock, and returns whether it did.
    /// An earlier one changes nothing: [`Chunk::waits`] is then false.
    #[inline]
    pub(crate) fn postpone(&self, index: u32, tick: Tick) -> bool {
        self.at(index).postpone(tick)
    }

    /// Hands back the entry of a timer that gives up or has fired, without a lock.
    #[inline]
    pub(super) fn cancel(&self, index: u32) {
        let entry = self.at(index);
        entry.cancel();
        self.cancelled.push(entry, index);
    }
}

impl Entries {
    /// The chunk of the entry with this index, which is in use.
    #[inline]
    pub(super) fn chunk(&self, index: u32) -> &Arc<Chunk> {
        let chunk = self.chunks[index as usize / CHUNK].as_ref();
        chunk.expect("a chunk is there while an entry of it is in use")
    }

    /// The entry with this index, which is in use.
    #[inline]
    pub(super) fn at(&self, index: u32) -> &Entry {
        self.chunk(index).at(index)
    }

    /// Allocates the chunk of this index if it is missing.
    #[inline]
    pub(super) fn make(&mut self, index: u32, cancelled: &Arc<Cancelled>) {
        let number = index as usize / CHUNK;
        if !self.chunks.get(number).is_some_and(Option::is_some) {
            self.grow(number, cancelled);
        }
    }

    #[cold]
    fn grow(&mut self, number: usize, cancelled: &Arc<Cancelled>) {
        if number >= self.chunks.len() {
            self.chunks.resize(number + 1, None);
        }
        self.chunks[number] = Some(Chunk::new(cancelled));
    }

    /// Releases a chunk of which no entry is in use.
    #[cold]
    pub(super) fn free(&mut self, number: usize) {
        self.chunks[number] = None;
        while self.chunks.last().is_some_and(Option::is_none) {
            self.chunks.pop();
        }
        if self.chunks.capacity() / 4 > self.chunks.len() {
            self.chunks.shrink_to(self.chunks.len() * 2);
        }
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_entry_costs_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
    }
}
