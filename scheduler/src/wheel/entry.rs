//! The part of a waiting timer that the timer reaches without a lock.
//!
//! The state, and who may write it. It shares a word with one half of what tells wakers apart:
//!
//! | state     | value | meaning | written by |
//! |-----------|-------|---------|------------|
//! | WAITS     | address of the waker's vtable | filed in the wheel, with that waker | `arm`, under the queue's lock |
//! | FIRED     | 0 | not filed, its waker taken | `fire`, under the queue's lock |
//! | CANCELLED | 1 | the timer gave it up | the timer, by `cancel`; then it is handed back |
//!
//! An entry belongs to its timer from `arm` until the timer hands it back, also when it fired
//! meanwhile. So no timer ever comes to an entry that has become another's: nothing here needs a
//! generation to compare, and plain stores do. Only `fire` and `cancel` can meet. Whichever
//! store comes second stays, and does no harm: either way the entry is handed back by its timer,
//! once, and the wheel takes it out of its slot if it is still in one.

use std::ptr;
use std::task::Waker;

use super::tick::Tick;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// All orderings here are Relaxed. What the wheel does is ordered by its lock. The timer's own
/// writes are ordered by its exclusive borrow, and by the lock or the stack of cancelled entries
/// where they concern the wheel. Where the two meet without a lock, each says why it may read an
/// old value.
#[derive(Debug)]
pub(super) struct Entry {
    /// When the timer may fire. Never made earlier while the entry is filed.
    tick: AtomicU64,
    /// The state as above. While the entry waits, this and `data` are the
    /// [`Identity`] of the waker that the queue holds, so that polling again with the same
    /// one takes no lock. That waker keeps its data alive, so no other one can have the same address.
    state: AtomicUsize,
    /// The address of the waker's data, read and written by the timer alone; once that has handed
    /// the entry back, the link of [`Cancelled`](super::cancelled::Cancelled), and its alone.
    data: AtomicUsize,
}

impl Entry {
    pub(super) fn new() -> Entry {
        Entry { tick: AtomicU64::new(0), state: AtomicUsize::new(FIRED), data: AtomicUsize::new(0) }
    }

    /// Notes what the timer is about to be filed with. By the timer, under the queue's lock.
    #[inline]
    pub(super) fn arm(&self, tick: Tick, waker: Identity) {
        let Identity { data, vtable } = waker;
        self.tick.store(tick.number(), Ordering::Relaxed);
        self.data.store(data, Ordering::Relaxed);
        self.state.store(vtable, Ordering::Relaxed);
    }

    /// Whether there is nothing to do for a timer that shall wake `waker` at `tick`: the entry is
    /// filed at `tick` or earlier, with this waker. By the timer.
    ///
    /// The answer may be yes although the entry is firing at this moment. Then the waker, which is
    /// the right one, has been taken and is about to be woken, and by then the state is seen.
    #[inline]
    pub(super) fn waits(&self, tick: Tick, waker: &Waker) -> bool {
        let Identity { data, vtable } = Identity::of(waker);
        self.state.load(Ordering::Relaxed) == vtable
            && self.data.load(Ordering::Relaxed) == data
            && self.tick() <= tick
    }

    /// Whether the entry is filed: the waker that it was armed with last will be woken. By the timer.
    ///
    /// As with [`Entry::waits`], it may be firing at this moment. If its wake came before the present
    /// run of the task began, that run sees it fired: waking a task that is queued already orders what
    /// came before, as waking it from rest does.
    #[inline]
    pub(super) fn is_filed(&self) -> bool {
        self.state.load(Ordering::Relaxed) > CANCELLED
    }

    /// As [`Entry::waits`], of an entry that another timer had: moves it to `tick` if it need not be
    /// filed anew, and says whether it did. By whoever holds it.
    ///
    /// Not if it was filed for much less than the timer has to wait, for it will be looked at when
    /// its slot comes: at most, what is left of the wait doubles.
    #[inline]
    pub(super) fn take_over(&self, tick: Tick, now: Tick, waker: &Waker) -> bool {
        let old = self.tick();
        let takes = self.waits(tick, waker) && tick.since(old) <= old.since(now);
        if takes {
            self.tick.store(tick.number(), Ordering::Relaxed);
        }
        takes
    }

    /// Moves the deadline later, and says whether it did: an earlier one needs another slot. By the
    /// timer.
    ///
    /// The wheel sees it when the slot comes. If it sees the old tick it fires the timer early,
    /// which then looks at the clock and is armed anew. It never fires late.
    #[inline]
    pub(super) fn postpone(&self, tick: Tick) -> bool {
        let later = tick >= self.tick();
        if later {
            self.tick.store(tick.number(), Ordering::Relaxed);
        }
        later
    }

    /// Marks the entry as given up, so that it wakes nobody while it waits to be taken out of its
    /// slot. By the timer, which then hands it back.
    #[inline]
    pub(super) fn cancel(&self) {
        self.state.store(CANCELLED, Ordering::Relaxed);
    }

    /// Links the entry to the one below it on the stack of cancelled entries. By its timer, when it
    /// has cancelled it.
    #[inline]
    pub(super) fn link(&self, below: u32) {
        self.data.store(below as usize, Ordering::Relaxed);
    }

    /// What [`Entry::link`] stored. By who has taken the stack.
    #[inline]
    pub(super) fn below(&self) -> u32 {
        // Nothing but a link is stored there after the entry was cancelled.
        self.data.load(Ordering::Relaxed) as u32
    }

    /// What to do with the entry now that its slot has come. Under the queue's lock.
    #[inline]
    pub(super) fn look(&self, base: Tick) -> Look {
        match self.tick() {
            _ if self.state.load(Ordering::Relaxed) == CANCELLED => Look::Cancelled,
            tick if tick > base => Look::Postponed(tick),
            _ => Look::Due,
        }
    }

    /// Notes that the entry is filed no more and that its waker was taken. Under the queue's lock,
    /// and before that waker is woken, so that the task finds it so.
    #[inline]
    pub(super) fn fire(&self) {
        self.state.store(FIRED, Ordering::Relaxed);
    }

    /// When the timer may fire.
    #[inline]
    pub(super) fn tick(&self) -> Tick {
        Tick::from_number(self.tick.load(Ordering::Relaxed))
    }
}

/// What the wheel finds in an entry whose slot came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Look {
    /// Its tick was reached.
    Due,
    /// It was moved to a later tick.
    Postponed(Tick),
    /// It was given up, and will be handed back, or has been.
    Cancelled,
}

/// Tells wakers apart as [`Waker::will_wake`] does: the addresses of its data and its vtable, of which
/// the latter is aligned and no reference is null, so it is none of the values below.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    data: usize,
    vtable: usize,
}

impl Identity {
    #[inline]
    pub(super) fn of(waker: &Waker) -> Identity {
        Identity { data: waker.data().addr(), vtable: ptr::from_ref(waker.vtable()).addr() }
    }
}

const FIRED: usize = 0;
const CANCELLED: usize = 1;

const _: () = assert!(align_of::<std::task::RawWakerVTable>() > CANCELLED);
