//! The part of a waiting timer that the timer reaches without a lock.
//!
//! The state shares a word with one half of the identity of the waker:
//!
//! | state     | value | meaning | written by |
//! |-----------|-------|---------|------------|
//! | WAITS     | address of the waker's vtable | filed in the levels, with that waker | `arm`, under the queue's lock |
//! | FIRED     | 0 | not filed, its waker taken | `fire`, under the queue's lock |
//! | CANCELLED | 1 | the timer gave it up | the timer, by `cancel`; then it is handed back |
//!
//! An entry belongs to its timer from `arm` until the timer hands it back, also when it fired
//! meanwhile. So a timer never accesses an entry that has become another's: no generation is needed,
//! and plain stores are enough. Only `fire` and `cancel` can meet. The store that comes second stays,
//! and does no harm: either way the timer hands the entry back, once, and the queue takes it out of its
//! slot if it is still in one.

use std::ptr;
use std::task::Waker;

use super::tick::Tick;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// | atomic | written by |
/// |---|---|
/// | `tick` | `arm` under the queue's lock; the timer, by `postpone` and `take_over`, to a later tick only |
/// | `state` | as above |
/// | `data` | `arm` under the queue's lock; the timer, by `link`, after it has cancelled the entry |
///
/// All accesses are Relaxed. The queue's are ordered by its lock. The timer's own are ordered by its
/// exclusive borrow, and by the lock or the stack of cancelled entries where the queue reads them.
/// Where the two meet without a lock, the method says why it may read an old value.
#[derive(Debug)]
pub(super) struct Entry {
    /// When the timer may fire. Never made earlier while the entry is filed.
    tick: AtomicU64,
    /// The state as above. While the entry waits, this and `data` are the [`Identity`] of the waker that
    /// the queue holds, so that polling again with the same one takes no lock. That waker keeps its data
    /// alive, so no other one can have the same address.
    state: AtomicUsize,
    /// The address of the waker's data, for the timer alone; once the timer has handed the entry back,
    /// the link of [`Cancelled`](super::cancelled::Cancelled).
    data: AtomicUsize,
}

impl Entry {
    pub(super) fn new() -> Entry {
        Entry { tick: AtomicU64::new(0), state: AtomicUsize::new(FIRED), data: AtomicUsize::new(0) }
    }

    /// Stores what the timer is about to be filed with. By the timer, under the queue's lock.
    #[inline]
    pub(super) fn arm(&self, tick: Tick, waker: Identity) {
        let Identity { data, vtable } = waker;
        self.tick.store(tick.number(), Ordering::Relaxed);
        self.data.store(data, Ordering::Relaxed);
        self.state.store(vtable, Ordering::Relaxed);
    }

    /// Whether there is nothing to do for a timer that has to wake `waker` at `tick`: the entry is filed
    /// at `tick` or earlier, with this waker. By the timer.
    ///
    /// May be true although the entry is firing at this moment. Then the waker, which is the right one,
    /// has been taken and is about to be woken, and that wake makes the state visible.
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
    /// run of the task began, that run sees FIRED: the wake of a task that is queued orders what came
    /// before it, as the wake of an idle task does.
    #[inline]
    pub(super) fn is_filed(&self) -> bool {
        self.state.load(Ordering::Relaxed) > CANCELLED
    }

    /// As [`Entry::waits`], of an entry that another timer had: moves it to `tick` if it need not be
    /// filed anew, and returns whether it did. By the worker that has cached it.
    ///
    /// Not if it was filed for much less than the timer has to wait, as it is looked at when its slot
    /// comes: at most, the rest of the wait doubles.
    #[inline]
    pub(super) fn take_over(&self, tick: Tick, now: Tick, waker: &Waker) -> bool {
        let old = self.tick();
        let takes = self.waits(tick, waker) && tick.since(old) <= old.since(now);
        if takes {
            self.tick.store(tick.number(), Ordering::Relaxed);
        }
        takes
    }

    /// Moves the deadline later, and returns whether it did: an earlier one needs another slot. By the
    /// timer.
    ///
    /// The queue reads it when the slot comes. If it reads the old tick it fires the timer early, which
    /// then looks at the clock and is armed anew. It never fires late.
    #[inline]
    pub(super) fn postpone(&self, tick: Tick) -> bool {
        let later = tick >= self.tick();
        if later {
            self.tick.store(tick.number(), Ordering::Relaxed);
        }
        later
    }

    /// Marks the entry as given up, so that it wakes no task while it is still in its slot. By the
    /// timer, which then hands it back.
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

    /// What [`Entry::link`] stored. By the thread that has taken the stack.
    #[inline]
    pub(super) fn below(&self) -> u32 {
        // After the entry was cancelled only a link is stored here.
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

    /// Marks the entry as no longer filed, its waker as taken. Under the queue's lock, and before that
    /// waker is woken, so that the task sees it.
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

/// What the queue finds in an entry whose slot came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Look {
    /// Its tick was reached.
    Due,
    /// It was moved to a later tick.
    Postponed(Tick),
    /// It was given up, and is handed back or will be.
    Cancelled,
}

/// What [`Waker::will_wake`] compares: the addresses of a waker's data and of its vtable. The latter is
/// aligned and not null, so it is none of the values below.
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
