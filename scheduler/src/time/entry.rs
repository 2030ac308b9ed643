//! One timer's entry: an atomic word that decides what becomes of it, and the waker.
//!
//! The word is the entry's only truth; no access to it leaves this file.
//!
//! | bits    | meaning | set by | cleared by |
//! |---------|---------|--------|------------|
//! | 0..48   | the tick at which the timer may fire | `arm`; the timer alone, by `postpone` | |
//! | 48      | ARMED: a timer waits | `arm` | `fire` or `cancel`, whichever comes first |
//! | 49      | CANCELLED: the timer gave up, the wheel does not know yet | `cancel` | `release` |
//! | 50..64  | zero | | |
//!
//! ```text
//!           arm                  cancel                    release
//!   free ─────────▶ ARMED(tick) ────────▶ CANCELLED(tick) ────────▶ free
//!                    │       ▲│ postpone                              ▲
//!                    │       └┘                                       │
//!                    └────────────────────── fire ────────────────────┘
//! ```
//!
//! `arm`, `fire` and `release` are called under the wheel's lock; `postpone`, `cancel` and `watch`
//! by the timer, under no lock. The timer is the one owner of the entry until it cancels or until
//! the word tells it that the entry fired.
//!
//! **The tick is the generation.** An entry that fired is free at once and may soon belong to
//! another timer, while the first one has not looked yet. It looks by comparing the whole word with
//! the tick that it wrote itself. An entry fires only once the wheel's base has reached that tick,
//! the base never goes back, and nothing is armed at or before the base; so no later owner
//! ever has the same tick, for as long as the clock runs. A counter would wrap.

use std::task::Waker;

use super::mutant::{self, Mutant};
use super::tick::Tick;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Forty bytes, all of a waiting timer that is not in the timer itself or in the wheel's links.
#[derive(Debug)]
pub(super) struct Entry {
    word: AtomicU64,
    /// Holding this = the right to read and replace the waker, once the word has been looked at.
    waker: Mutex<Option<Waker>>,
    /// The entry that was cancelled before this one; see [`super::cancelled`].
    below: AtomicU32,
}

/// What the wheel has to do with an entry whose slot came.
#[derive(Debug)]
#[must_use]
pub(super) enum Look {
    /// It fired: wake this, and the entry is free.
    Fired(Option<Waker>),
    /// The timer moved its deadline; file the entry there.
    Postponed(Tick),
    /// The timer gave up: the entry is on its way to be released.
    Cancelled,
}

/// What a timer finds when it comes back to its entry.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Hold {
    /// The entry is still the timer's, and what was asked has been done.
    Kept,
    /// The entry fired, and belongs to nobody or to another timer.
    Lost,
}

/// The outcome of giving up an entry.
#[derive(Debug)]
#[must_use]
pub(super) enum Cancel {
    /// The entry is to be handed back, and then the waker dropped.
    Cancelled(Option<Waker>),
    /// It had fired before; there is nothing to do.
    Lost,
}

impl Entry {
    pub(super) fn new() -> Entry {
        Entry { word: AtomicU64::new(FREE), waker: Mutex::new(None), below: AtomicU32::new(0) }
    }

    /// Gives a free entry to a timer. Under the wheel's lock.
    #[inline]
    pub(super) fn arm(&self, tick: Tick, waker: Waker) {
        debug_assert_eq!(self.word.load(Ordering::Relaxed), FREE, "armed an entry in use");
        let old = self.waker.lock().replace(waker);
        debug_assert!(old.is_none(), "a free entry held a waker");
        // Relaxed: the wheel's lock orders this for whoever fires, and the timer itself hands its
        // key on. An older owner that still compares it finds a tick that is not its own.
        self.word.store(armed(tick), Ordering::Relaxed);
    }

    /// Decides what becomes of an entry whose slot came: fires it if `base` has reached its tick.
    /// Under the wheel's lock.
    #[inline]
    pub(super) fn look(&self, base: Tick) -> Look {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & ARMED == 0 {
                return Look::Cancelled;
            }
            let tick = Tick::from_number(word);
            if tick > base {
                return Look::Postponed(tick);
            }
            // Release pairs with the Acquire of the timer that finds its entry lost: what the
            // wheel's thread saw before, the new time among it, the timer's thread sees as well.
            match self.word.compare_exchange(word, FREE, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Look::Fired(self.waker.lock().take()),
                Err(newer) => word = newer,
            }
        }
    }

    /// Fires an armed entry whatever its tick. Under the wheel's lock, and only when nothing will be
    /// armed there again: the tick that the timer still compares may lie after the base.
    pub(super) fn evict(&self) -> Look {
        self.look(Tick::LAST)
    }

    /// Makes a cancelled entry free. Under the wheel's lock, once nobody has it but the caller.
    #[inline]
    pub(super) fn release(&self) {
        debug_assert_eq!(self.word.load(Ordering::Relaxed) & ARMED, 0, "released an armed entry");
        // Relaxed: the stack of cancelled entries ordered the canceller before this, and the lock
        // orders the next owner after it.
        self.word.store(FREE, Ordering::Relaxed);
    }

    /// Moves the deadline from `old`, the tick that the timer wrote last, to a later one.
    ///
    /// The wheel finds out when the entry's slot comes. This is a compare-and-swap and not a plain
    /// store, which could postpone the next owner of an entry that fires at this very moment.
    #[inline]
    pub(super) fn postpone(&self, old: Tick, new: Tick) -> Hold {
        debug_assert!(old <= new, "postponed from {old:?} back to {new:?}");
        if mutant::on(Mutant::PostponeUncompared) {
            self.word.store(armed(new), Ordering::Relaxed);
            return Hold::Kept;
        }
        let (old, new) = (armed(old), armed(new));
        // Relaxed: the word alone tells all there is to know, and the wheel's own swap decides on
        // its newest value. Acquire on failure pairs with the Release in `look`.
        match self.word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Acquire) {
            Ok(_) => Hold::Kept,
            Err(_) => Hold::Lost,
        }
    }

    /// Sees to it that `waker` is the one that is woken when the timer at `tick` fires.
    ///
    /// The word is looked at *with the waker's lock held*. Firing changes the word first and takes
    /// the waker second: so either it takes what is stored here, or its change is seen here and
    /// nothing is stored where the next owner keeps its own waker.
    #[inline]
    pub(super) fn watch(&self, tick: Tick, waker: &Waker) -> Hold {
        let early = mutant::on(Mutant::LookBeforeLock) && self.is_armed(tick);
        let mut held = self.waker.lock();
        if !early && !self.is_armed(tick) {
            return Hold::Lost;
        }
        if held.as_ref().is_some_and(|old| old.will_wake(waker)) {
            return Hold::Kept;
        }
        let old = held.replace(waker.clone());
        drop(held);
        // Last, as it may run code of the waker's owner.
        drop(old);
        Hold::Kept
    }

    /// Gives up the entry of a timer at `tick`, unless it fired.
    #[inline]
    pub(super) fn cancel(&self, tick: Tick) -> Cancel {
        let old = match mutant::on(Mutant::CancelUncompared) {
            true => self.word.load(Ordering::Relaxed),
            false => armed(tick),
        };
        // Relaxed: what the timer did to the entry is published by the stack that it goes to next.
        // Acquire on failure pairs with the Release in `look`.
        let new = old & !ARMED | CANCELLED;
        match self.word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Acquire) {
            Ok(_) => Cancel::Cancelled(self.waker.lock().take()),
            Err(_) => Cancel::Lost,
        }
    }

    #[inline]
    fn is_armed(&self, tick: Tick) -> bool {
        // Acquire pairs with the Release in `look`.
        self.word.load(Ordering::Acquire) == armed(tick)
    }

    /// The link of the stack of cancelled entries, for [`super::cancelled`] alone.
    #[inline]
    pub(super) fn below(&self) -> &AtomicU32 {
        &self.below
    }
}

fn armed(tick: Tick) -> u64 {
    tick.number() | ARMED
}

const FREE: u64 = 0;
const ARMED: u64 = 1 << Tick::BITS;
const CANCELLED: u64 = 1 << (Tick::BITS + 1);
