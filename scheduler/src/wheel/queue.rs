//! A queue of timers: one for each worker, and one for all other threads.
//!
//! A worker arms in its own queue and advances it between polls, so the lock is nearly always free
//! and its line stays with the worker. Other threads cancel or postpone a timer that has moved away
//! with its task, which takes no lock, and fire the timers of a worker that is stuck.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::arming::{Armed, Arming};
use super::cancelled::Cancelled;
use super::entries::Chunk;
use super::filed::Filed;
use super::tick::Tick;
use crate::clock::Instant;
use crate::metrics::{Histogram, Scale};
use crate::mutant::{self, Mutant};
use crate::panics;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Timers that wait, and when the first of them is due.
///
/// | atomic | written by | ordering |
/// |---|---|---|
/// | `next` | the thread that holds the lock | Release in `publish`, Acquire in [`next`](TimerQueue::next): a thread that sees a deadline and goes to fire it sees what was done before it was armed. That a sleeper sees the newest one is up to the sleeper's own protocol |
/// | `refused` | an arming at the bound, by `fetch_add` | Relaxed: a statistic |
///
/// Aligned so that no line is shared with a neighbour, not even by a prefetcher that fetches lines in
/// pairs.
#[repr(align(128))]
pub(crate) struct TimerQueue {
    /// When there is something to do next, in nanoseconds; `u64::MAX` for never.
    next: AtomicU64,
    /// Holding this = the right to file, fire and release entries.
    filed: Mutex<Filed>,
    cancelled: Arc<Cancelled>,
    refused: AtomicU64,
    /// From the tick of each timer to its firing. Written under the lock.
    lateness: Histogram,
    hook: Option<EarlierHook>,
}

/// What to call when the next deadline became earlier.
pub(crate) type EarlierHook = Box<dyn Fn(Instant) + Send + Sync>;

impl TimerQueue {
    /// An empty queue. Each arming that makes the next deadline earlier calls `hook`, with no lock
    /// held, after [`TimerQueue::next`] shows it.
    pub(crate) fn new(hook: Option<EarlierHook>) -> TimerQueue {
        TimerQueue {
            next: AtomicU64::new(NEVER),
            filed: Mutex::new(Filed::new()),
            cancelled: Arc::new(Cancelled::new()),
            refused: AtomicU64::new(0),
            lateness: Histogram::new(Scale::Time),
            hook,
        }
    }

    /// Tells the queue the time before anything is armed. From the clock's origin every timer would be
    /// so far away that all are filed anew, level by level, before the first one fires.
    pub(crate) fn start_at(&self, now: Instant) {
        let slot = self.filed.lock().levels.reach(Tick::reached(now));
        debug_assert!(slot.is_none(), "a timer was armed before");
    }

    /// When to call [`TimerQueue::advance`] next. Exact, or early if the first timer was cancelled
    /// or postponed since; never late.
    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        // Acquire pairs with the Release in `publish`.
        match self.next.load(Ordering::Acquire) {
            NEVER => None,
            nanos => Some(Instant::from_nanos(nanos)),
        }
    }

    /// When a worker that has nothing to do is to wake and call [`TimerQueue::advance`]: at
    /// [`next`](TimerQueue::next), or up to 437.5 µs later where many timers are due close together, so that
    /// one wake fires them. Takes the lock where the next deadline is near.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let next = self.next()?;
        if next.duration_since(now) > NEAR {
            return Some(next);
        }
        self.filed.lock().levels.next_together().map(Tick::instant)
    }

    /// Fires what is due at `now`: pushes the wakers to `out`, for the caller to wake. Returns how
    /// many timers fired.
    ///
    /// Looks at no more than `limit` entries. If there are more that are due, [`TimerQueue::next`]
    /// says so. Takes no lock when nothing is due.
    pub(crate) fn advance(&self, now: Instant, limit: usize, out: &mut Vec<Waker>) -> usize {
        if self.next().is_none_or(|next| next > now) {
            return 0;
        }
        self.fire(now, limit, out)
    }

    /// As [`advance`](TimerQueue::advance), for a clock that is moved by hand and shows `now` already: no
    /// worker looks at the time again before it waits.
    ///
    /// So the lock is taken in any case. An arming that had it before is fired here if it is due. One
    /// that has it afterwards finds the queue's time at `now`, and is told that its deadline has passed.
    pub(crate) fn advance_by_hand(&self, now: Instant, out: &mut Vec<Waker>) -> usize {
        if mutant::on(Mutant::MoveUnlocked) {
            return self.advance(now, usize::MAX, out);
        }
        self.fire(now, usize::MAX, out)
    }

    fn fire(&self, now: Instant, limit: usize, out: &mut Vec<Waker>) -> usize {
        let mut swept = Vec::new();
        let mut filed = self.filed.lock();
        filed.sweep(&self.cancelled, limit, &mut swept);
        let fired = filed.fire(now, limit, &self.lateness, out);
        self.publish(filed.levels.next());
        drop(filed);
        panics::drop_all(swept);
        fired
    }

    /// Releases the timers that were cancelled, so that [`TimerQueue::next`] does not show them and
    /// their wakers keep no task in memory. For a worker that is about to sleep; otherwise arming and
    /// advancing release them. Takes no lock when none was cancelled.
    pub(crate) fn purge(&self) {
        if !self.cancelled.is_empty() {
            self.purged();
        }
    }

    /// How many timers wait now, the cached entry of a busy worker among them. Takes the lock: for
    /// metrics and tests, not for decisions.
    pub(crate) fn len(&self) -> usize {
        self.purged()
    }

    /// How often a timer could not be armed because the queue was full.
    pub(crate) fn refused(&self) -> u64 {
        // Relaxed: a statistic.
        self.refused.load(Ordering::Relaxed)
    }

    /// How late the timers fired that did. A deadline is rounded up to a tick, and lateness counts
    /// from there.
    pub(crate) fn lateness(&self) -> &Histogram {
        &self.lateness
    }

    /// Ends all timers: the wakers of those that wait, for the caller to wake. From now on arming is
    /// refused with [`Armed::Closed`]. Idempotent.
    pub(crate) fn close(&self) -> Vec<Waker> {
        let mut swept = Vec::new();
        let mut filed = self.filed.lock();
        filed.closed = true;
        filed.sweep(&self.cancelled, usize::MAX, &mut swept);
        let wakers = filed.fire_all();
        self.publish(None);
        drop(filed);
        panics::drop_all(swept);
        wakers
    }

    /// Whether the entries of this chunk are the queue's.
    #[inline]
    pub(crate) fn owns(&self, chunk: &Chunk) -> bool {
        chunk.hands_back_to(&self.cancelled)
    }

    /// Whether an arming that makes the next deadline earlier has to [call](TimerQueue::call_hook) the
    /// hook.
    #[inline]
    pub(crate) fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// Calls the hook, after an arming made the next deadline earlier. With no lock held.
    pub(crate) fn call_hook(&self, arming: &Arming) {
        self.hook.iter().for_each(|hook| hook(arming.tick.instant()));
    }

    /// Files a timer: in the entry of this queue that it has, filed or fired, or in a new one. Also
    /// whether the next deadline became earlier, so that the caller has to
    /// [call the hook](TimerQueue::call_hook).
    ///
    /// Unless it `Waits`, the timer still has the entry it had. Runs no foreign code.
    #[inline]
    pub(crate) fn file(&self, held: Option<u32>, arming: &mut Arming) -> (Armed, bool) {
        let Arming { tick, ref mut waker, ref mut swept } = *arming;
        let mut filed = self.filed.lock();
        if filed.closed {
            return (Armed::Closed, false);
        }
        if tick <= filed.levels.base() {
            return (Armed::Due, false);
        }
        filed.sweep_a_few(&self.cancelled, swept);
        let filed = &mut *filed;
        let before = held.map(|index| filed.tick_of(index));
        let (index, entry) = match held {
            Some(index) => {
                filed.rearm(index, tick, waker);
                (index, None)
            }
            None if filed.levels.in_use() >= BOUND => {
                // Relaxed: a statistic.
                self.refused.fetch_add(1, Ordering::Relaxed);
                return (Armed::Full, false);
            }
            None => {
                let waker = mem::replace(waker, Waker::noop().clone());
                let entry = filed.insert(tick, waker, &self.cancelled);
                (entry.index, Some(entry))
            }
        };
        if held.is_none() || !mutant::on(Mutant::ReplaceUnfiled) {
            filed.file(index, tick);
        }
        let earlier = self.publish_arming(filed, tick, before);
        (Armed::Waits(entry), earlier)
    }

    /// Publishes the next deadline after a timer was filed at `tick`, and `before` in the same entry.
    /// Whether it became earlier.
    #[inline]
    fn publish_arming(&self, filed: &Filed, tick: Tick, before: Option<Tick>) -> bool {
        // Relaxed: `next` is written only under the lock, which is held.
        let next = self.next.load(Ordering::Relaxed);
        let earlier = tick.instant().as_nanos() < next;
        if earlier {
            self.publish(Some(tick));
        } else if before.is_some_and(|before| before.instant().as_nanos() == next) {
            // The timer itself was the next one: no worker needs to wake at its old deadline.
            self.publish(filed.levels.next());
        }
        earlier
    }

    /// Releases all cancelled entries; how many timers are left.
    fn purged(&self) -> usize {
        let mut swept = Vec::new();
        let mut filed = self.filed.lock();
        filed.sweep(&self.cancelled, usize::MAX, &mut swept);
        self.publish(filed.levels.next());
        let left = filed.levels.len();
        drop(filed);
        panics::drop_all(swept);
        left
    }

    /// Under the lock: publishes when there is something to do next.
    #[inline]
    fn publish(&self, next: Option<Tick>) {
        let nanos = next.map_or(NEVER, |tick| tick.instant().as_nanos());
        // Release pairs with the Acquire in `next`.
        self.next.store(nanos, Ordering::Release);
    }
}

#[cfg(test)]
impl TimerQueue {
    /// Arms a timer, as one on a worker of this queue's does.
    pub(super) fn arm(
        &self,
        held: Option<&super::CachedEntry>,
        deadline: Instant,
        waker: &Waker,
    ) -> Armed {
        let mut arming = Arming::new(deadline, waker);
        let (armed, earlier) = self.file(held.map(|entry| entry.index), &mut arming);
        if earlier {
            self.call_hook(&arming);
        }
        arming.finish();
        armed
    }
}

impl fmt::Debug for TimerQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerQueue").field("next", &self.next()).finish_non_exhaustive()
    }
}

/// Timers of a queue, or two under loom, where a model has to reach the bound.
const BOUND: usize = if cfg!(heist_loom) { 2 } else { 1 << 24 };
/// Deadlines farther away than this are not close together.
const NEAR: Duration = Duration::from_millis(4);
const NEVER: u64 = Instant::FAR_FUTURE.as_nanos();
