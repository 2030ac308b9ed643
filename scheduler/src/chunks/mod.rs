//! A slab: a table that gives out the keys of its values, and frees the memory of a crowd.
//!
//! [`Chunks`] is made of chunks of [`CHUNK`] places. A new value goes into the lowest chunk that has
//! room, and an empty chunk is freed. So each value that stays after a crowd has left holds at most a
//! chunk, wherever it is in the table.

#![cfg_attr(heist_loom, allow(clippy::modulo_one, reason = "a chunk has one place under loom"))]

use std::fmt;
use std::mem;
use std::ops::{Index, IndexMut};

#[cfg(all(test, not(heist_loom)))]
mod tests;

/// A table of values by small keys, which it gives out itself.
///
/// Insertion and removal take constant time, except for at most one in 128, which searches the list of
/// chunks. One empty chunk is kept, so that a value that comes and goes allocates nothing.
///
/// ```
/// use heist_scheduler::chunks::Chunks;
///
/// let mut table = Chunks::new();
/// let key = table.insert("one");
/// assert_eq!(table[key], "one");
/// assert_eq!(table.remove(key), "one");
/// assert!(table.is_empty());
/// ```
pub struct Chunks<T> {
    chunks: Vec<Chunk<T>>,
    /// A bit for each chunk, set while it is allocated and has room.
    roomy: Vec<u64>,
    /// The lowest chunk with its bit set; [`NO_CHUNK`] if there is none.
    lowest: usize,
    /// A chunk that was empty when this was set, and is kept while it is.
    spare: usize,
    /// How many of `chunks` are not allocated.
    missing: usize,
    length: usize,
}

struct Chunk<T> {
    /// `None` while the chunk is not allocated.
    slots: Option<Box<[Slot<T>; CHUNK]>>,
    /// The first of its free places; [`FULL`] if there is none.
    free: u32,
    used: u32,
}

enum Slot<T> {
    Used(T),
    /// The next free place of the chunk, or [`FULL`].
    Free(u32),
}

impl<T> Chunks<T> {
    /// Bytes that each place takes: no more than a value, where that has a niche to spare.
    pub const PLACE_BYTES: usize = size_of::<Slot<T>>();

    /// An empty table, which has allocated nothing.
    #[must_use]
    pub const fn new() -> Chunks<T> {
        Chunks {
            chunks: Vec::new(),
            roomy: Vec::new(),
            lowest: NO_CHUNK,
            spare: NO_CHUNK,
            missing: 0,
            length: 0,
        }
    }

    /// How many values there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no value.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many values there is room for without another chunk.
    #[must_use]
    pub fn places(&self) -> usize {
        (self.chunks.len() - self.missing) * CHUNK
    }

    /// The value under `key`, if there is one.
    #[must_use]
    #[inline]
    pub fn get(&self, key: usize) -> Option<&T> {
        match &self.chunks.get(key / CHUNK)?.slots.as_deref()?[key % CHUNK] {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// The value under `key`, if there is one.
    #[must_use]
    #[inline]
    pub fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        match &mut self.chunks.get_mut(key / CHUNK)?.slots.as_deref_mut()?[key % CHUNK] {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// Inserts a value and returns its key.
    ///
    /// The key is in the lowest chunk with a free place, so keys stay small.
    #[inline]
    pub fn insert(&mut self, value: T) -> usize {
        if self.lowest == NO_CHUNK {
            self.grow();
        }
        let number = self.lowest;
        let chunk = &mut self.chunks[number];
        let place = chunk.free as usize;
        let slot = chunk.slots.as_deref_mut().and_then(|slots| slots.get_mut(place));
        let Some(slot @ &mut Slot::Free(next)) = slot else {
            unreachable!("a chunk that has room is there, and its free places are free");
        };
        *slot = Slot::Used(value);
        chunk.free = next;
        chunk.used += 1;
        self.length += 1;
        if next == FULL {
            self.fill(number);
        }
        number * CHUNK + place
    }

    /// Removes and returns the value under `key`.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub fn remove(&mut self, key: usize) -> T {
        self.remove_with(key, |_| ())
    }

    /// As [`remove`](Chunks::remove); `freed` is called with the number of a chunk that is freed:
    /// its first key divided by [`CHUNK`].
    ///
    /// # Panics
    /// If there is no such value.
    #[inline]
    pub fn remove_with(&mut self, key: usize, freed: impl FnOnce(usize)) -> T {
        let (number, place) = (key / CHUNK, key % CHUNK);
        let chunk = &mut self.chunks[number];
        let next = chunk.free;
        let slot = chunk.slots.as_deref_mut().map(|slots| &mut slots[place]);
        let Some(slot @ Slot::Used(_)) = slot else {
            panic!("there is nothing under key {key}");
        };
        let Slot::Used(value) = mem::replace(slot, Slot::Free(next)) else {
            unreachable!("it was there a line above");
        };
        chunk.free = place as u32;
        chunk.used -= 1;
        self.length -= 1;
        let used = chunk.used;
        if next == FULL {
            self.roomy[number / 64] |= 1 << (number % 64);
            self.lowest = self.lowest.min(number);
        }
        // Where it is the spare itself there is nothing to free, as with a task that comes and goes.
        if used == 0
            && number != self.spare
            && let Some(number) = self.trim(number)
        {
            freed(number);
        }
        value
    }

    /// All values with their keys, in the order of these.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.chunks.iter().enumerate().flat_map(|(number, chunk)| {
            chunk.slots.iter().flat_map(|slots| slots.iter()).enumerate().filter_map(
                move |(place, slot)| match slot {
                    Slot::Used(value) => Some((number * CHUNK + place, value)),
                    Slot::Free(_) => None,
                },
            )
        })
    }

    /// Allocates the lowest chunk that is not.
    #[cold]
    fn grow(&mut self) {
        let number = match self.missing {
            0 => self.chunks.len(),
            _ => self.chunks.iter().position(Chunk::is_missing).expect("some are counted"),
        };
        if number == self.chunks.len() {
            self.chunks.push(Chunk::new());
            self.roomy.resize(number / 64 + 1, 0);
        } else {
            self.chunks[number] = Chunk::new();
            self.missing -= 1;
        }
        self.roomy[number / 64] |= 1 << (number % 64);
        self.lowest = number;
    }

    /// The chunk, the lowest that had room, has become full.
    #[cold]
    fn fill(&mut self, number: usize) {
        let first = number / 64;
        self.roomy[first] &= !(1 << (number % 64));
        let word = self.roomy[first..].iter().position(|word| *word != 0);
        self.lowest = word.map_or(NO_CHUNK, |word| {
            (first + word) * 64 + self.roomy[first + word].trailing_zeros() as usize
        });
    }

    /// A chunk has become empty. Of two empty ones the higher is freed: its number.
    #[cold]
    fn trim(&mut self, number: usize) -> Option<usize> {
        let other = mem::replace(&mut self.spare, number);
        let is_empty = |chunk: &Chunk<T>| chunk.used == 0 && !chunk.is_missing();
        if !self.chunks.get(other).is_some_and(is_empty) {
            return None;
        }
        self.spare = number.min(other);
        let freed = number.max(other);
        self.chunks[freed] = Chunk::missing();
        self.missing += 1;
        self.roomy[freed / 64] &= !(1 << (freed % 64));
        debug_assert_ne!(self.lowest, freed, "the spare is lower and has room");
        while self.chunks.last().is_some_and(Chunk::is_missing) {
            self.chunks.pop();
            self.missing -= 1;
        }
        self.roomy.truncate(self.chunks.len().div_ceil(64));
        if self.chunks.capacity() / 4 > self.chunks.len() {
            self.chunks.shrink_to(self.chunks.len() * 2);
            self.roomy.shrink_to_fit();
        }
        Some(freed)
    }
}

impl<T> Chunk<T> {
    fn new() -> Chunk<T> {
        let next = |place: usize| if place < CHUNK { place as u32 } else { FULL };
        let slots: Box<[Slot<T>]> = (1..=CHUNK).map(|place| Slot::Free(next(place))).collect();
        Chunk { slots: slots.try_into().ok(), free: 0, used: 0 }
    }

    fn missing() -> Chunk<T> {
        Chunk { slots: None, free: FULL, used: 0 }
    }

    fn is_missing(&self) -> bool {
        self.slots.is_none()
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    #[inline]
    fn index(&self, key: usize) -> &T {
        self.get(key).expect("a key is used only while its value is there")
    }
}

impl<T> IndexMut<usize> for Chunks<T> {
    #[inline]
    fn index_mut(&mut self, key: usize) -> &mut T {
        self.get_mut(key).expect("a key is used only while its value is there")
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Chunks<T> {
        Chunks::new()
    }
}

impl<T> fmt::Debug for Chunks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("len", &self.length).finish_non_exhaustive()
    }
}

/// The capacity to shrink a hash table to when most of its entries have gone; `None` while it is well
/// used. For use after each removal: the cost of shrinking is spread over the removals since the last
/// time.
#[must_use]
#[inline]
pub fn trimmed(length: usize, capacity: usize) -> Option<usize> {
    (capacity > KEPT_IN_TABLES && length < capacity / 8).then_some(length * 2)
}

/// Places of a chunk. One under loom, where a model has to reach the bounds.
pub const CHUNK: usize = if cfg!(heist_loom) { 1 } else { 128 };

const NO_CHUNK: usize = usize::MAX;
const FULL: u32 = u32::MAX;

/// A hash table keeps room for so many entries, however few it has.
const KEPT_IN_TABLES: usize = 1024;
