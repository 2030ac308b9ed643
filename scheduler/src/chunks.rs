//! A table whose values keep their keys, and which gives the memory of a crowd back.
//!
//! [`Chunks`] is made of chunks of [`CHUNK`] places. A new value goes into the lowest chunk that has
//! room, and a chunk in which nothing is left is freed. So what stays of a crowd, wherever it is in the
//! table, holds at most a chunk each.

#![cfg_attr(heist_loom, allow(clippy::modulo_one, reason = "a chunk has one place under loom"))]

use std::fmt;
use std::mem;
use std::ops::{Index, IndexMut};

/// A table of values by small keys, which it gives out itself.
///
/// Insertion and removal take constant time, but for one in 128 at most, which looks through the list of
/// chunks. One chunk that is empty is kept, so that a value that
/// comes and goes allocates nothing.
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
    /// A bit for each chunk, set while it is there and has room.
    roomy: Vec<u64>,
    /// The lowest chunk with its bit set; [`NO_CHUNK`] if there is none.
    lowest: usize,
    /// A chunk that was empty when this was noted, and is kept while it is.
    spare: usize,
    /// How many of `chunks` are not there.
    missing: usize,
    length: usize,
}

struct Chunk<T> {
    /// `None` while the chunk is not there.
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

    /// Puts a value in; its key, which is less than the most values there have been at once, rounded
    /// up to whole chunks for each that stays of them.
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

    /// Takes the value under `key` out.
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

    /// Makes the lowest chunk that is not there.
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

    /// The chunk has no room any more; it was the lowest that had.
    #[cold]
    fn fill(&mut self, number: usize) {
        let first = number / 64;
        self.roomy[first] &= !(1 << (number % 64));
        let word = self.roomy[first..].iter().position(|word| *word != 0);
        self.lowest = word.map_or(NO_CHUNK, |word| {
            (first + word) * 64 + self.roomy[first + word].trailing_zeros() as usize
        });
    }

    /// A chunk has become empty. Of two that are, the higher is freed: its number.
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

/// The capacity to shrink a hash table to when most of what was in it has gone; `None` while it is well
/// used. To be asked after each removal: the work of shrinking is a share of the removals since the
/// last time.
#[must_use]
#[inline]
pub fn trimmed(length: usize, capacity: usize) -> Option<usize> {
    (capacity > KEPT_IN_TABLES && length < capacity / 8).then_some(length * 2)
}

/// Places of a chunk. Under loom one, where a model shall meet the bounds.
pub const CHUNK: usize = if cfg!(heist_loom) { 1 } else { 128 };

const NO_CHUNK: usize = usize::MAX;
const FULL: u32 = u32::MAX;

/// A hash table keeps room for so many, whatever is in it.
const KEPT_IN_TABLES: usize = 1024;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Values come and go in runs, so that chunks fill and empty.
        #[test]
        fn table_holds_what_a_map_does(
            runs in prop::collection::vec((any::<bool>(), 1..400_usize, any::<usize>()), 0..16),
        ) {
            let (mut table, mut model) = (Chunks::new(), BTreeMap::new());
            let mut serial = 0;
            for (comes, count, pick) in runs {
                for step in 0..count {
                    if comes {
                        serial += 1;
                        prop_assert_eq!(model.insert(table.insert(serial), serial), None);
                    } else if !model.is_empty() {
                        let at = pick.wrapping_mul(step + 1) % model.len();
                        let (&key, &value) = model.iter().nth(at).unwrap();
                        model.remove(&key);
                        prop_assert_eq!(table.remove(key), value);
                        prop_assert!(table.get(key).is_none());
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert!(table.iter().eq(model.iter().map(|(key, value)| (*key, value))));
                let held = model.keys().map(|key| key / CHUNK).collect::<std::collections::BTreeSet<_>>();
                prop_assert!(table.places() <= (held.len() + 1) * CHUNK, "one empty chunk is kept");
            }
        }
    }

    /// Failure: the table of a crowd was kept as long as one of it was left.
    #[test]
    fn survivors_of_a_crowd_hold_a_chunk_each_wherever_they_are() {
        let mut table = Chunks::new();
        let keys: Vec<_> = (0..100_000).map(|number| table.insert(number)).collect();
        let survivors = [0, 70_000, 99_999];
        for &key in keys.iter().filter(|key| !survivors.contains(key)) {
            table.remove(key);
        }
        assert!(table.places() <= (survivors.len() + 1) * CHUNK);
        survivors.iter().for_each(|key| assert_eq!(table.remove(*key), *key));
        assert_eq!((table.places(), table.chunks.len()), (CHUNK, 1));
        assert!(table.chunks.capacity() <= 8);
    }

    #[test]
    fn new_values_fill_the_lowest_chunks_so_that_the_highest_become_empty() {
        let mut table = Chunks::new();
        (0..10 * CHUNK).for_each(|number| assert_eq!(table.insert(number), number));
        (0..3).for_each(|number| assert_eq!(table.remove(number), number));
        table.remove(9 * CHUNK + 5);
        let keys: Vec<_> = (0..4).map(|number| table.insert(number)).collect();
        assert!(keys[..3].iter().all(|key| *key < 3), "{keys:?}");
        assert_eq!(keys[3], 9 * CHUNK + 5);
    }

    #[test]
    #[should_panic(expected = "there is nothing under key 0")]
    fn nothing_is_removed_twice() {
        let mut table = Chunks::new();
        let key = table.insert(());
        table.remove(key);
        table.remove(key);
    }

    #[test]
    fn value_that_comes_and_goes_allocates_nothing() {
        let mut table = Chunks::new();
        (0..CHUNK).for_each(|key| assert_eq!(table.insert(()), key));
        let mut freed = 0;
        for _ in 0..10 {
            let key = table.insert(());
            table.remove_with(key, |_| freed += 1);
        }
        assert_eq!((freed, table.places()), (0, 2 * CHUNK));
    }

    #[test]
    fn hash_table_of_a_crowd_is_trimmed() {
        let mut map: HashMap<usize, ()> = (0..100_000).map(|key| (key, ())).collect();
        for key in 3..100_000 {
            map.remove(&key);
            if let Some(capacity) = trimmed(map.len(), map.capacity()) {
                map.shrink_to(capacity);
            }
        }
        assert!(map.len() == 3 && map.capacity() <= 2 * KEPT_IN_TABLES, "{}", map.capacity());
    }
}
