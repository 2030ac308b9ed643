//! A queue of timers: one for each worker, and one for everybody else.
//!
//! A worker arms in its own queue and advances it between polls, so the lock is all but always free
//! and its line stays with the worker. Others come to it to cancel or to postpone a timer that has
//! moved away with its task, which takes no lock, and to fire the timers of a worker that is stuck.

use std::fmt;
use std::task::Waker;

use super::Instant;
use super::cancelled::{Cancelled, Taken};
use super::entries::Entries;
use super::entry::{Cancel, Hold, Look};
use super::instant::nanos;
use super::tick::Tick;
use super::wheel::{SlotId, Wheel};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Timers that wait, and when the first of them is due. Aligned so that no line is shared with a
/// neighbour, not even by a prefetcher that fetches lines in pairs.
#[repr(align(128))]
pub(crate) struct TimerQueue {
    /// When there is something to do next, in nanoseconds; `u64::MAX` for never. Written under the
    /// lock, read by anybody.
    next: AtomicU64,
    /// Holding this = the right to file, fire and release entries.
    filed: Mutex<Filed>,
    cancelled: Cancelled,
    entries: Entries,
    refused: AtomicU64,
    alarm: Option<Alarm>,
}

/// What to call when the next deadline became earlier.
pub(crate) type Alarm = Box<dyn Fn(Instant) + Send + Sync>;

/// What is changed only under the queue's lock.
struct Filed {
    wheel: Wheel,
    /// Cancelled entries that were taken from their stack but not yet out of their slots.
    cancelled: Taken,
    /// Entries that are nobody's, the one used last on top.
    free: Vec<u32>,
    closed: bool,
}

/// What [`TimerQueue::advance`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advanced {
    /// Timers that fired.
    pub(crate) fired: usize,
    /// How far behind its tick the latest of them was, in nanoseconds.
    pub(crate) latest: u64,
}

/// What became of a timer that was to be armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Armed {
    /// It waits in the entry with this index.
    Waits(u32),
    /// The deadline has passed already.
    Due,
    /// The queue holds as many timers as it can.
    Full,
    /// The runtime shuts down: no timer fires any more.
    Closed,
}

impl TimerQueue {
    /// An empty queue. `alarm` is called, with no lock held, by each arming that made the next
    /// deadline earlier, after [`TimerQueue::next`] shows it.
    pub(crate) fn new(alarm: Option<Alarm>) -> TimerQueue {
        TimerQueue {
            next: AtomicU64::new(NEVER),
            filed: Mutex::new(Filed {
                wheel: Wheel::new(),
                cancelled: Taken::default(),
                free: Vec::new(),
                closed: false,
            }),
            cancelled: Cancelled::new(),
            entries: Entries::new(),
            refused: AtomicU64::new(0),
            alarm,
        }
    }

    /// When to call [`TimerQueue::advance`] next. Exact, or early if the first timer was cancelled
    /// or postponed since; never late.
    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        // Acquire pairs with the Release in `publish`, so that who sees a deadline and goes to fire
        // it sees what was done before it was armed. Seeing the *newest* one before going to sleep
        // is up to the sleeper's own protocol.
        match self.next.load(Ordering::Acquire) {
            NEVER => None,
            nanos => Some(Instant::from_nanos(nanos)),
        }
    }

    /// Fires what is due at `now`: puts the wakers into `out`, for the caller to wake.
    ///
    /// Looks at no more than `limit` entries. If there are more that are due, [`TimerQueue::next`]
    /// says so. Takes no lock when nothing is due.
    pub(crate) fn advance(&self, now: Instant, limit: usize, out: &mut Vec<Waker>) -> Advanced {
        let mut advanced = Advanced::default();
        if self.next().is_none_or(|next| next > now) {
            return advanced;
        }
        let mut filed = self.filed.lock();
        self.reclaim(&mut filed, limit);
        self.fire(&mut filed, now, limit, &mut advanced, out);
        self.publish(filed.wheel.next());
        advanced
    }

    /// How many timers wait now. Takes the lock: for metrics and tests, not for decisions.
    pub(crate) fn len(&self) -> usize {
        let mut filed = self.filed.lock();
        self.reclaim(&mut filed, usize::MAX);
        filed.wheel.capacity() as usize - filed.free.len()
    }

    /// How often a timer could not be armed because the queue was full.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Ends all timers: the wakers of those that wait, for the caller to wake or drop. What is armed
    /// from now on never fires. Idempotent.
    pub(crate) fn close(&self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut filed = self.filed.lock();
        filed.closed = true;
        self.reclaim(&mut filed, usize::MAX);
        while let Some(slot) = filed.wheel.any_slot() {
            while let Some(index) = filed.wheel.pop(slot) {
                if let Look::Fired(waker) = self.entries.at(index).evict() {
                    wakers.extend(waker);
                    filed.free.push(index);
                }
            }
        }
        self.publish(None);
        wakers
    }

    /// Files a timer that wakes `waker` once `deadline` has passed.
    pub(super) fn arm(&self, deadline: Instant, waker: &Waker) -> Armed {
        let tick = Tick::of_deadline(deadline);
        // Before the lock, as both may run code of the waker's owner: here the clone, and where no
        // entry takes it, its drop at the end.
        let mut waker = Some(waker.clone());
        let (armed, earlier) = self.file(tick, &mut waker);
        match armed {
            Armed::Waits(_) if earlier => self.alarm.iter().for_each(|alarm| alarm(tick.instant())),
            // Relaxed: a statistic.
            Armed::Full => drop(self.refused.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
        armed
    }

    /// Moves a timer to a later tick.
    pub(super) fn postpone(&self, index: u32, old: Tick, new: Tick) -> Hold {
        self.entries.at(index).postpone(old, new)
    }

    /// Sees to it that firing wakes `waker`.
    pub(super) fn watch(&self, index: u32, tick: Tick, waker: &Waker) -> Hold {
        self.entries.at(index).watch(tick, waker)
    }

    /// Gives up a timer, unless it fired.
    pub(super) fn cancel(&self, index: u32, tick: Tick) {
        if let Cancel::Cancelled(waker) = self.entries.at(index).cancel(tick) {
            self.cancelled.push(&self.entries, index);
            // Last, as it may run code of the waker's owner.
            drop(waker);
        }
    }

    /// Under the lock, the part of arming that needs it; whether the next deadline became earlier.
    #[inline]
    fn file(&self, tick: Tick, waker: &mut Option<Waker>) -> (Armed, bool) {
        let mut filed = self.filed.lock();
        if filed.closed {
            return (Armed::Closed, false);
        }
        if tick <= filed.wheel.base() {
            return (Armed::Due, false);
        }
        self.reclaim(&mut filed, RECLAIM);
        let Some(index) = self.take_free(&mut filed) else {
            return (Armed::Full, false);
        };
        if let Some(waker) = waker.take() {
            self.entries.at(index).arm(tick, waker);
        }
        filed.wheel.file(index, tick);
        // Relaxed: `next` is written only under the lock, which is held.
        let earlier = tick.instant().as_nanos() < self.next.load(Ordering::Relaxed);
        if earlier {
            self.publish(Some(tick));
        }
        (Armed::Waits(index), earlier)
    }

    /// An entry that is nobody's; `None` at the bound.
    #[inline]
    fn take_free(&self, filed: &mut Filed) -> Option<u32> {
        filed.free.pop().or_else(|| self.grow(filed))
    }

    #[cold]
    fn grow(&self, filed: &mut Filed) -> Option<u32> {
        let old = filed.wheel.capacity();
        let more = self.entries.grow(old);
        filed.wheel.grow(more);
        filed.free.extend((old..old + more).rev());
        filed.free.pop()
    }

    /// Fires entries that are due, and files anew those that turn out not to be.
    fn fire(
        &self,
        filed: &mut Filed,
        now: Instant,
        limit: usize,
        advanced: &mut Advanced,
        out: &mut Vec<Waker>,
    ) {
        let mut looks = 0;
        while let Some(slot) = filed.wheel.reach(Tick::reached(now)) {
            while looks < limit
                && let Some(look) = self.look(filed, slot)
            {
                looks += 1;
                if let Look::Fired(waker) = look {
                    out.extend(waker);
                    advanced.fired += 1;
                    let late = now - filed.wheel.base().instant();
                    advanced.latest = advanced.latest.max(nanos(late));
                }
            }
            if looks == limit {
                return;
            }
        }
    }

    /// Takes an entry from a slot that has come, and sees what becomes of it.
    #[inline]
    fn look(&self, filed: &mut Filed, slot: SlotId) -> Option<Look> {
        let index = filed.wheel.pop(slot)?;
        let look = self.entries.at(index).look(filed.wheel.base());
        match look {
            Look::Fired(_) => filed.free.push(index),
            Look::Postponed(tick) => filed.wheel.file(index, tick),
            // It is in the stack of cancelled entries, or will be in a moment.
            Look::Cancelled => {}
        }
        Some(look)
    }

    /// Takes up to `limit` cancelled entries out of their slots.
    ///
    /// Each arming reclaims more than one, and each cancelled timer was armed once: so cancelled
    /// entries do not pile up, and no arming pays for a thousand others.
    #[inline]
    fn reclaim(&self, filed: &mut Filed, limit: usize) {
        for _ in 0..limit {
            if filed.cancelled.is_empty() {
                filed.cancelled = self.cancelled.take();
            }
            let Some(index) = filed.cancelled.pop(&self.entries) else {
                return;
            };
            filed.wheel.unlink(index);
            self.entries.at(index).release();
            filed.free.push(index);
        }
    }

    /// Under the lock: tells everybody when there is something to do next.
    #[inline]
    fn publish(&self, next: Option<Tick>) {
        let nanos = next.map_or(NEVER, |tick| tick.instant().as_nanos());
        // Release pairs with the Acquire in `next`.
        self.next.store(nanos, Ordering::Release);
    }
}

impl fmt::Debug for TimerQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerQueue").field("next", &self.next()).finish_non_exhaustive()
    }
}

const NEVER: u64 = Instant::FAR_FUTURE.as_nanos();
/// How many cancelled entries an arming takes out of their slots.
const RECLAIM: usize = 8;
