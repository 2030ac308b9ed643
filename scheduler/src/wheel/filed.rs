//! The part of a timer queue behind its lock: entries in use, their slots and their wakers.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use super::arming::Swept;
use super::cached::CachedEntry;
use super::cancelled::{Cancelled, Taken};
use super::entries::Entries;
use super::entry::{Identity, Look};
use super::levels::{Levels, SlotId};
use super::tick::Tick;
use crate::clock::Instant;
use crate::metrics::Histogram;
use crate::mutant::{self, Mutant};

/// What is changed only under the queue's lock.
pub(super) struct Filed {
    /// With each entry's waker; one that does nothing when it has fired.
    pub(super) levels: Levels<Waker>,
    entries: Entries,
    /// Entries that were taken from the stack of cancelled ones and are not yet released.
    taken: Taken,
    /// Armings until the stack is read next.
    armings_to_sweep: u32,
    pub(super) closed: bool,
}

/// An idle connection has a timer: besides its [`Entry`](super::entry::Entry) it takes this.
const _: () = assert!(Levels::<Waker>::ENTRY_BYTES <= 24);

impl Filed {
    pub(super) fn new() -> Filed {
        Filed {
            levels: Levels::new(),
            entries: Entries::default(),
            taken: Taken::default(),
            armings_to_sweep: ARMINGS_PER_SWEEP,
            closed: false,
        }
    }

    /// The tick that an entry in use was armed with, or postponed to.
    pub(super) fn tick_of(&self, index: u32) -> Tick {
        self.entries.at(index).tick()
    }

    /// Gives an entry in use another tick and swaps its waker with `waker`.
    #[inline]
    pub(super) fn rearm(&mut self, index: u32, tick: Tick, waker: &mut Waker) {
        self.entries.at(index).arm(tick, Identity::of(waker));
        mem::swap(self.levels.value(index), waker);
    }

    /// Takes a free entry into use, for a timer that is about to be filed.
    #[inline]
    pub(super) fn insert(
        &mut self,
        tick: Tick,
        waker: Waker,
        cancelled: &Arc<Cancelled>,
    ) -> CachedEntry {
        let identity = Identity::of(&waker);
        let index = self.levels.insert(waker);
        self.entries.make(index, cancelled);
        let chunk = Arc::clone(self.entries.chunk(index));
        chunk.at(index).arm(tick, identity);
        CachedEntry { chunk, index }
    }

    /// Files an entry in use at `tick`, wherever it was before.
    #[inline]
    pub(super) fn file(&mut self, index: u32, tick: Tick) {
        self.levels.unlink(index);
        self.levels.file(index, tick);
    }

    /// Fires up to `limit` entries that are due and files anew those that turn out not to be; how many
    /// fired.
    pub(super) fn fire(
        &mut self,
        now: Instant,
        limit: usize,
        lateness: &Histogram,
        out: &mut Vec<Waker>,
    ) -> usize {
        let (mut looks, mut fired) = (0, 0);
        while let Some(slot) = self.levels.reach(Tick::reached(now)) {
            while looks < limit
                && let Some((index, look)) = self.pop(slot)
            {
                looks += 1;
                if look == Look::Due {
                    out.push(self.fire_one(index));
                    lateness.record_time(now - self.levels.base().instant());
                    fired += 1;
                }
            }
            if looks == limit {
                break;
            }
        }
        fired
    }

    /// Fires every filed entry, due or not: their wakers.
    pub(super) fn fire_all(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(slot) = self.levels.any_slot() {
            while let Some(index) = self.levels.pop(slot) {
                wakers.push(self.fire_one(index));
            }
        }
        wakers
    }

    /// Takes an entry from a slot that has come, and files it anew if it was postponed.
    #[inline]
    fn pop(&mut self, slot: SlotId) -> Option<(u32, Look)> {
        let index = self.levels.pop(slot)?;
        let look = self.entries.at(index).look(self.levels.base());
        if let Look::Postponed(tick) = look {
            self.levels.file(index, tick);
        }
        Some((index, look))
    }

    /// Takes the waker of an entry that was taken from its slot.
    #[inline]
    fn fire_one(&mut self, index: u32) -> Waker {
        self.entries.at(index).fire();
        if mutant::on(Mutant::FreeOnFire) {
            return self.levels.release(index, |number| self.entries.free(number));
        }
        mem::replace(self.levels.value(index), Waker::noop().clone())
    }

    /// Releases up to `limit` cancelled entries. The caller drops their wakers when it has given back
    /// the lock.
    pub(super) fn sweep(&mut self, cancelled: &Cancelled, limit: usize, swept: &mut Vec<Waker>) {
        for _ in 0..limit {
            if self.taken.is_empty() {
                self.taken = cancelled.take();
            }
            match self.release_one() {
                Some(waker) => swept.push(waker),
                None => return,
            }
        }
    }

    /// The share of an arming in releasing cancelled entries.
    ///
    /// The stack is read at every eighth arming, and each arming takes two entries from what was found.
    /// Each cancelled timer was armed once, so they do not pile up, and no arming pays for thousands.
    #[inline]
    pub(super) fn sweep_a_few(&mut self, cancelled: &Cancelled, swept: &mut Swept) {
        if self.taken.is_empty() {
            self.armings_to_sweep -= 1;
            if self.armings_to_sweep > 0 {
                return;
            }
            self.armings_to_sweep = ARMINGS_PER_SWEEP;
            self.taken = cancelled.take();
        }
        for waker in swept {
            *waker = self.release_one();
        }
    }

    /// Takes one cancelled entry out of its slot and frees it: its waker.
    #[inline]
    fn release_one(&mut self) -> Option<Waker> {
        let index = self.taken.pop(|index| self.entries.at(index).below())?;
        self.levels.unlink(index);
        Some(self.levels.release(index, |number| self.entries.free(number)))
    }
}

/// The stack of cancelled entries is read at every so many armings.
const ARMINGS_PER_SWEEP: u32 = 8;
