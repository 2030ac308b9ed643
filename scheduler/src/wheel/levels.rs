//! The levels of the hierarchical wheel: which filed entry comes next. They know no threads and no
//! wakers.
//!
//! Eight levels of 64 slots cover the 48 bits of a tick. A tick is filed by the highest group of six
//! bits in which it differs from the *base*, the newest tick that the wheel has reached:
//!
//! ```text
//! level 0   1 tick a slot     the base's group of 64 ticks
//! level 1   64 ticks a slot   the base's group of 4,096 ticks
//!   ...
//! level 7   2^42 ticks a slot all of them
//! ```
//!
//! Hence all slots of a level belong to one group of the level above, no slot in use lies before the
//! base, and a level's first slot in use is its earliest. Nothing wraps. When the base reaches
//! the start of a slot above level 0, the entries there are filed anew, now nearer to the base and
//! so at a lower level: each entry at most seven times. Each slot knows the least tick filed in it,
//! so the next deadline is exact and no worker wakes only to file entries anew.
//!
//! A slot is a circular doubly linked list through a table of links, so taking an entry out needs
//! no search and filing one allocates nothing once the table has grown. The table holds only entries
//! in use, and frees the memory of others.

use std::mem;

use super::tick::Tick;
use crate::chunks::Chunks;

/// The slots, and for each entry of the queue its place in them and a value.
pub(super) struct Levels<T> {
    base: Tick,
    /// For each level a bit a slot, set while the slot has entries.
    occupied: [u64; LEVELS],
    slots: Box<[Slot]>,
    /// By entry, for those in use.
    nodes: Chunks<Node<T>>,
    /// How many entries are filed.
    filed: usize,
}

/// Names a slot: level × 64 + its place in the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotId(u32);

#[derive(Clone, Copy, Debug)]
struct Slot {
    ends: Links,
    /// The least tick filed here since the slot was last empty.
    least: Tick,
}

/// The links of an entry, and its value.
struct Node<T> {
    links: Links,
    value: T,
}

/// Neighbours in a circular list, each an entry's index or a slot's number with [`SLOT`] set; both are
/// [`UNFILED`] for an entry in no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Links {
    next: u32,
    previous: u32,
}

impl<T> Levels<T> {
    /// Bytes of the table for each entry.
    pub(super) const ENTRY_BYTES: usize = Chunks::<Node<T>>::PLACE_BYTES;

    pub(super) fn new() -> Levels<T> {
        let empty = |id| Slot { ends: Links::to(SLOT | id), least: Tick::LAST };
        Levels {
            base: Tick::ZERO,
            occupied: [0; LEVELS],
            slots: (0..LEVELS as u32 * 64).map(empty).collect(),
            nodes: Chunks::new(),
            filed: 0,
        }
    }

    /// The newest tick that the wheel has reached. The time is there or later.
    #[inline]
    pub(super) fn base(&self) -> Tick {
        self.base
    }

    /// How many entries are filed.
    pub(super) fn len(&self) -> usize {
        self.filed
    }

    /// How many entries are in use, filed or not.
    pub(super) fn in_use(&self) -> usize {
        self.nodes.len()
    }

    /// Takes an entry into use; it is in no slot.
    #[inline]
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let index = self.nodes.insert(Node { links: Links::to(UNFILED), value });
        // There are fewer than 2^31: the queue's bound is lower.
        index as u32
    }

    /// The value of an entry in use.
    #[inline]
    pub(super) fn value(&mut self, index: u32) -> &mut T {
        &mut self.nodes[index as usize].value
    }

    /// Frees an entry that is in no slot. `freed` is called with the number of a chunk that is freed with
    /// it.
    #[inline]
    pub(super) fn release(&mut self, index: u32, freed: impl FnOnce(usize)) -> T {
        let Node { links, value } = self.nodes.remove_with(index as usize, freed);
        debug_assert_eq!(links, Links::to(UNFILED), "entry {index} is filed");
        value
    }

    /// Files an entry that is in no slot at a tick after the base.
    #[inline]
    pub(super) fn file(&mut self, index: u32, tick: Tick) {
        debug_assert!(tick > self.base, "filed {tick:?} behind {:?}", self.base);
        debug_assert_eq!(*self.links_of(index), Links::to(UNFILED), "entry {index} is filed");
        let SlotId(id) = self.slot_of(tick);
        let (level, bit) = (id as usize / 64, 1 << (id % 64));
        let slot = &mut self.slots[id as usize];
        let first = self.occupied[level] & bit == 0;
        self.filed += 1;
        slot.least = if first { tick } else { slot.least.min(tick) };
        self.occupied[level] |= bit;
        let tail = mem::replace(&mut slot.ends.previous, index);
        *self.links_of(index) = Links { next: SLOT | id, previous: tail };
        self.links_of(tail).next = index;
    }

    /// Takes an entry out of its slot; does nothing to one that is in none.
    #[inline]
    pub(super) fn unlink(&mut self, index: u32) {
        let Links { next, previous } = mem::replace(self.links_of(index), Links::to(UNFILED));
        if next == UNFILED {
            return;
        }
        self.filed -= 1;
        self.links_of(previous).next = next;
        self.links_of(next).previous = previous;
        if next == previous && next & SLOT != 0 {
            let id = next & !SLOT;
            self.occupied[id as usize / 64] &= !(1 << (id % 64));
        }
    }

    /// Moves the base towards `tick` as far as the next slot that has entries, and names that slot.
    ///
    /// The caller empties it with [`Levels::pop`]. With `None` the base is at `tick`.
    pub(super) fn reach(&mut self, tick: Tick) -> Option<SlotId> {
        let slot = self.first_slots().min_by_key(|&slot| self.start_of(slot));
        let slot = slot.filter(|&slot| self.start_of(slot) <= tick);
        self.base = self.base.max(slot.map_or(tick, |slot| self.start_of(slot)));
        slot
    }

    /// Takes the entry that has been in the slot longest.
    #[inline]
    pub(super) fn pop(&mut self, SlotId(id): SlotId) -> Option<u32> {
        let index = self.slots[id as usize].ends.next;
        (index & SLOT == 0).then(|| {
            self.unlink(index);
            index
        })
    }

    /// Any slot with entries in it.
    pub(super) fn any_slot(&self) -> Option<SlotId> {
        self.first_slots().next()
    }

    /// The earliest tick that may have something to fire: exact, unless that entry was cancelled
    /// or postponed since it was filed; then it is too early, never too late.
    pub(super) fn next(&self) -> Option<Tick> {
        self.first_slots().map(|SlotId(id)| self.slots[id as usize].least).min()
    }

    /// As [`next`](Levels::next), but where ticks that lie close together have entries it is the last of
    /// those: one wake then fires all of them.
    ///
    /// They lie close together where [`CLOSE`] of [`TOGETHER`] ticks in a row have entries, the first of
    /// them being the next. Only the base's group of ticks is looked at, to which a wheel that fires often
    /// has moved.
    pub(super) fn next_together(&self) -> Option<Tick> {
        let first = self.occupied[0].trailing_zeros();
        let ticks = self.occupied[0].checked_shr(first).unwrap_or(0) & ((1 << TOGETHER) - 1);
        if ticks.count_ones() < CLOSE {
            return self.next();
        }
        Some(self.start_of(SlotId(first + ticks.ilog2())))
    }

    /// Each level's first slot in use. No two of them start at the same tick: above level 0
    /// nothing is filed in the slot that the base is in.
    fn first_slots(&self) -> impl Iterator<Item = SlotId> {
        let levels = self.occupied.iter().enumerate().filter(|(_, bits)| **bits != 0);
        levels.map(|(level, bits)| SlotId(level as u32 * 64 + bits.trailing_zeros()))
    }

    /// The first tick that a slot covers.
    fn start_of(&self, SlotId(id): SlotId) -> Tick {
        let (level, place) = (id / 64, u64::from(id % 64));
        let shift = level * GROUP;
        // The top level's group is all there is, hence no bits above it.
        let above = self.base.number() >> shift >> GROUP << GROUP << shift;
        Tick::from_number(above | place << shift)
    }

    #[inline]
    fn slot_of(&self, tick: Tick) -> SlotId {
        let difference = tick.number() ^ self.base.number();
        // The lowest group counts as different also where nothing differs.
        let level = (difference | 63).ilog2() / GROUP;
        SlotId(level * 64 + (tick.number() >> (level * GROUP) & 63) as u32)
    }

    #[inline]
    fn links_of(&mut self, name: u32) -> &mut Links {
        match name & SLOT {
            0 => &mut self.nodes[name as usize].links,
            _ => &mut self.slots[(name & !SLOT) as usize].ends,
        }
    }
}

impl Links {
    fn to(name: u32) -> Links {
        Links { next: name, previous: name }
    }
}

/// Bits of a tick that one level distinguishes.
const GROUP: u32 = 6;
const LEVELS: usize = (Tick::BITS / GROUP) as usize;
/// Ticks in a row that one wake may fire: half a millisecond.
const TOGETHER: u32 = 8;
/// How many of those have entries where it does. With fewer a wake for each costs little.
const CLOSE: u32 = 4;
/// Set in a name that means a slot.
const SLOT: u32 = 1 << 31;
/// In place of the links of an entry that is in no slot; no entry has this index.
const UNFILED: u32 = SLOT - 1;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    fn wheel(entries: u32) -> Levels<()> {
        let mut wheel = Levels::new();
        (0..entries).for_each(|index| assert_eq!(wheel.insert(()), index));
        wheel
    }

    /// Moves to `tick`; the entries that have come, whose ticks are in `ticks`.
    fn turn(wheel: &mut Levels<()>, ticks: &[Tick], tick: Tick) -> Vec<u32> {
        let mut came = Vec::new();
        while let Some(slot) = wheel.reach(tick) {
            while let Some(index) = wheel.pop(slot) {
                match ticks[index as usize] {
                    due if due <= wheel.base() => came.push(index),
                    later => wheel.file(index, later),
                }
            }
        }
        came
    }

    #[test]
    fn every_level_comes_in_order_and_at_its_tick() {
        let ticks: Vec<Tick> =
            (0..Tick::BITS).map(|bit| Tick::from_number((1 << bit) + 1)).collect();
        let mut wheel = wheel(Tick::BITS);
        for (index, tick) in ticks.iter().enumerate().rev() {
            wheel.file(index as u32, *tick);
        }
        for (index, tick) in ticks.iter().enumerate() {
            assert_eq!(wheel.next(), Some(*tick));
            assert_eq!(turn(&mut wheel, &ticks, Tick::from_number(tick.number() - 1)), []);
            assert_eq!(turn(&mut wheel, &ticks, *tick), [index as u32]);
        }
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn one_jump_over_all_levels_keeps_the_order() {
        let ticks: Vec<Tick> = (1..Tick::BITS).map(|bit| Tick::from_number(1 << bit)).collect();
        let mut wheel = wheel(Tick::BITS);
        for (index, tick) in ticks.iter().enumerate().rev() {
            wheel.file(index as u32, *tick);
        }
        let in_order: Vec<u32> = (0..Tick::BITS - 1).collect();
        assert_eq!(turn(&mut wheel, &ticks, Tick::LAST), in_order);
    }

    #[test]
    fn ticks_that_lie_close_together_are_waited_for_together_and_others_are_not() {
        let wait = |ticks: &[u64]| {
            let mut wheel = wheel(ticks.len() as u32);
            for (index, tick) in ticks.iter().enumerate() {
                wheel.file(index as u32, Tick::from_number(*tick));
            }
            wheel.next_together().map(Tick::number)
        };
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[10]), Some(10));
        assert_eq!(wait(&[10, 10, 10, 10]), Some(10), "one wake fires them anyway");
        assert_eq!(wait(&[10, 12, 17]), Some(10), "three wakes in half a millisecond");
        assert_eq!(wait(&[17, 10, 14, 12, 18]), Some(17));
        assert_eq!(wait(&[10, 11, 12, 13, 30]), Some(13), "no later than it has to be");
        assert_eq!(wait(&[60, 61, 62, 63, 64, 65]), Some(63), "the next group is not looked at");
        assert_eq!(wait(&[63]), Some(63));
        assert_eq!(wait(&[70, 71, 72, 73]), Some(70));
    }

    #[test]
    fn the_last_tick_is_a_tick_like_others() {
        let mut wheel = wheel(1);
        wheel.file(0, Tick::LAST);
        assert_eq!(turn(&mut wheel, &[Tick::LAST], Tick::from_number(Tick::LAST.number() - 1)), []);
        assert_eq!(turn(&mut wheel, &[Tick::LAST], Tick::LAST), [0]);
    }

    #[test]
    fn an_unlinked_entry_leaves_nothing_behind() {
        let mut wheel = wheel(3);
        let tick = Tick::from_number(70);
        (0..3).for_each(|index| wheel.file(index, tick));
        wheel.unlink(1);
        wheel.unlink(1);
        assert_eq!(wheel.len(), 2);
        assert_eq!(turn(&mut wheel, &[tick; 3], tick), [0, 2]);
        assert_eq!((wheel.len(), wheel.any_slot()), (0, None));
    }

    #[test]
    fn a_released_entry_is_given_out_again_and_no_entry_twice() {
        let mut wheel = wheel(3);
        wheel.release(2, |_| ());
        wheel.release(0, |_| ());
        assert_eq!([(); 3].map(|()| wheel.insert(())), [0, 2, 3]);
    }
}
