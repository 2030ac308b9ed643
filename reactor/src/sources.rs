//! The table of all sources: finds a slot by its token, hands out free slots, takes them back.
//!
//! Slots live in chunks that are never freed, so a reference to one stays valid and a late event
//! finds a slot, whichever source owns it now. The table of chunks has its final length from the
//! start, so finding a slot takes no lock. An owner holds its chunk and reaches its slot without
//! the table.

use std::sync::{Arc, OnceLock};
use std::task::Waker;

use crate::error::RegisterError;
use crate::mutant::{self, Mutant};
use crate::readiness::{Bits, Delivery, Direction};
use crate::slot::Slot;
use crate::sync::{CHUNK, Mutex};
use crate::token::Token;

/// All slots, and the list of the free ones.
#[derive(Debug)]
pub(crate) struct Sources {
    chunks: Box<[OnceLock<Chunk>]>,
    max: usize,
    first_generation: u32,
    /// Holding this = the right to add or remove sources. No waker runs or is dropped under it.
    free: Mutex<Free>,
}

/// A part of the table. An array, so that indexing needs no length from memory.
pub(crate) type Chunk = Arc<[Slot; CHUNK]>;

/// The slot with this index, in its chunk.
#[inline]
pub(crate) fn slot_in(chunk: &Chunk, index: u32) -> &Slot {
    &chunk[index as usize % CHUNK]
}

#[derive(Debug)]
struct Free {
    /// Slots that were given back; the last one is used first, since its line is most likely
    /// cached.
    released: Vec<u32>,
    /// The slots from here on were never handed out.
    untouched: usize,
    live: usize,
    closed: bool,
}

impl Sources {
    /// A table for up to `max` sources; no chunk exists yet.
    pub(crate) fn new(max: usize) -> Sources {
        Sources::from_generation(max, 0)
    }

    /// As [`new`](Sources::new), but the first owner of each slot has this generation.
    pub(crate) fn from_generation(max: usize, first_generation: u32) -> Sources {
        let max = max.clamp(1, MAX_SOURCES);
        Sources {
            chunks: (0..max.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect(),
            max,
            first_generation,
            free: Mutex::new(Free { released: Vec::new(), untouched: 0, live: 0, closed: false }),
        }
    }

    /// Takes a slot whose word starts with these flags.
    pub(crate) fn insert(&self, bits: Bits) -> Result<Token, RegisterError> {
        let mut free = self.free.lock();
        if free.closed {
            return Err(RegisterError::Closed);
        }
        if free.live == self.max {
            return Err(RegisterError::Full { max: self.max });
        }
        let index = self.allocate(&mut free);
        free.live += 1;
        // Under the lock: `close` either marks this owner or was seen above.
        let generation = self.at(index).word.open(bits);
        Ok(Token::new(index, generation))
    }

    /// Gives a slot back; events that name `token` are stale from here on.
    pub(crate) fn remove(&self, token: Token) {
        let slot = self.owned(token);
        slot.word.retire();
        // Before the slot is free: afterwards these would be wakers of the next owner.
        let left_behind = Direction::BOTH.map(|direction| slot.take_wakers(direction));
        let mut free = self.free.lock();
        free.released.push(token.slot());
        free.live -= 1;
        drop(free);
        // Dropping a waker may drop a task and with it another source, which locks the free list.
        drop(left_behind);
    }

    /// The chunk of the slot that the live owner of `token` has.
    pub(crate) fn chunk(&self, token: Token) -> Chunk {
        let chunk = self.chunks[token.slot() as usize / CHUNK].get().map(Arc::clone);
        chunk.expect("a chunk exists before the first token that names it")
    }

    /// The slot that the live owner of `token` has.
    pub(crate) fn owned(&self, token: Token) -> &Slot {
        self.at(token.slot())
    }

    /// Brings an event; the wakers of tasks that waited for it go to `out`.
    #[inline]
    pub(crate) fn deliver(&self, token: Token, bits: Bits, out: &mut Vec<Waker>) -> Delivery {
        match self.find(token.slot()) {
            Some(slot) => slot.deliver(token.generation(), bits, out),
            None => Delivery::Stale,
        }
    }

    /// Takes no more sources and marks the existing ones; returns all wakers, which the caller
    /// wakes. `None` if it was closed before.
    pub(crate) fn close(&self) -> Option<Vec<Waker>> {
        let mut free = self.free.lock();
        if std::mem::replace(&mut free.closed, true) {
            return None;
        }
        let mut wakers = Vec::new();
        for slot in self.chunks.iter().filter_map(OnceLock::get).flat_map(|chunk| chunk.iter()) {
            slot.word.mark_closed();
            if !mutant::on(Mutant::CloseKeepsWakers) {
                for direction in Direction::BOTH {
                    slot.take_wakers(direction).append_to(&mut wakers);
                }
            }
        }
        Some(wakers)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.free.lock().closed
    }

    /// The number of slots that have an owner.
    pub(crate) fn live(&self) -> usize {
        self.free.lock().live
    }

    fn allocate(&self, free: &mut Free) -> u32 {
        if let Some(index) = free.released.pop() {
            return index;
        }
        let index = free.untouched;
        if index.is_multiple_of(CHUNK) {
            self.chunks[index / CHUNK].get_or_init(|| new_chunk(self.first_generation));
            // Here, so that giving a slot back never allocates.
            free.released.reserve(index + CHUNK);
        }
        free.untouched += 1;
        u32::try_from(index).expect("MAX_SOURCES fits in 32 bits")
    }

    fn at(&self, index: u32) -> &Slot {
        self.find(index).expect("a chunk exists before the first token that names it")
    }

    #[inline]
    fn find(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        Some(&self.chunks.get(index / CHUNK)?.get()?[index % CHUNK])
    }
}

/// Built on the heap: an array on the stack of a task would not fit.
fn new_chunk(generation: u32) -> Chunk {
    let slots: Box<[Slot]> = (0..CHUNK).map(|_| Slot::new(generation)).collect();
    let slots: Box<[Slot; CHUNK]> =
        slots.try_into().expect("as many slots were made as a chunk has");
    slots.into()
}

/// Far below the slot of the reserved tokens.
const MAX_SOURCES: usize = 1 << 30;

#[cfg(all(test, not(heist_loom)))]
mod tests;
