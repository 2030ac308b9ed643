//! A queue of timers: one for each worker, and one for everybody else.
//!
//! A worker arms in its own queue and advances it between polls, so the lock is all but always free
//! and its line stays with the worker. Others come to it to cancel or to postpone a timer that has
//! moved away with its task, which takes no lock, and to fire the timers of a worker that is stuck.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use super::cached::CachedEntry;
use super::cancelled::{Cancelled, Taken};
use super::entries::{Chunk, Entries};
use super::entry::{Identity, Look};
use super::levels::{Levels, SlotId};
use super::tick::Tick;
use crate::clock::Instant;
use crate::metrics::{Histogram, Scale};
use crate::mutant::{self, Mutant};
use crate::panics;
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
    cancelled: Arc<Cancelled>,
    refused: AtomicU64,
    /// From the tick of each timer to its firing. Written under the lock.
    lateness: Histogram,
    alarm: Option<Alarm>,
}

/// What to call when the next deadline became earlier.
pub(crate) type Alarm = Box<dyn Fn(Instant) + Send + Sync>;

/// What is changed only under the queue's lock.
struct Filed {
    /// With each entry's waker; one that does nothing when it has fired.
    wheel: Levels<Waker>,
    entries: Entries,
    /// Entries that were taken from the stack of cancelled ones and are not yet released.
    cancelled: Taken,
    /// Armings until the stack is looked at next.
    patience: u32,
    closed: bool,
}

/// An idle connection has a timer: besides its [`Entry`](super::entry::Entry) it takes this.
const _: () = assert!(Levels::<Waker>::ENTRY_BYTES <= 24);

/// A timer that is about to be armed.
///
/// Its waker is cloned before the queue is locked, and what is left of wakers is [let
/// go](Arming::let_go) of after, as either may run code of the waker's owner.
#[must_use = "wakers are left over"]
pub(crate) struct Arming {
    tick: Tick,
    waker: Waker,
    swept: Swept,
}

/// What became of a timer that was to be armed.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Armed {
    /// It waits in this entry, or in the one it had.
    Waits(Option<CachedEntry>),
    /// The deadline has passed already.
    Due,
    /// The queue holds as many timers as it can.
    Full,
    /// The runtime shuts down: nothing is left to fire it.
    Closed,
}

impl TimerQueue {
    /// An empty queue. `alarm` is called, with no lock held, by each arming that made the next
    /// deadline earlier, after [`TimerQueue::next`] shows it.
    pub(crate) fn new(alarm: Option<Alarm>) -> TimerQueue {
        TimerQueue {
            next: AtomicU64::new(NEVER),
            filed: Mutex::new(Filed {
                wheel: Levels::new(),
                entries: Entries::default(),
                cancelled: Taken::default(),
                patience: PATIENCE,
                closed: false,
            }),
            cancelled: Arc::new(Cancelled::new()),
            refused: AtomicU64::new(0),
            lateness: Histogram::new(Scale::Time),
            alarm,
        }
    }

    /// Tells the queue the time before anything is armed. From the clock's origin every timer would be so
    /// far away that all have to be filed anew, level by level, before the first one fires.
    pub(crate) fn start_at(&self, now: Instant) {
        let slot = self.filed.lock().wheel.reach(Tick::reached(now));
        debug_assert!(slot.is_none(), "a timer was armed before");
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

    /// Fires what is due at `now`: puts the wakers into `out`, for the caller to wake. Returns how
    /// many timers fired.
    ///
    /// Looks at no more than `limit` entries. If there are more that are due, [`TimerQueue::next`]
    /// says so. Takes no lock when nothing is due.
    pub(crate) fn advance(&self, now: Instant, limit: usize, out: &mut Vec<Waker>) -> usize {
        if self.next().is_none_or(|next| next > now) {
            return 0;
        }
        let mut swept = Vec::new();
        let mut filed = self.filed.lock();
        self.sweep(&mut filed, limit, &mut swept);
        let fired = self.fire(&mut filed, now, limit, out);
        self.publish(filed.wheel.next());
        drop(filed);
        panics::drop_all(swept);
        fired
    }

    /// Lets go of the timers that were cancelled, so that [`TimerQueue::next`] does not tell of them
    /// and their wakers keep no task in memory. For a worker that is about to sleep; arming and
    /// advancing see to it otherwise. Takes no lock when none was cancelled.
    pub(crate) fn tidy(&self) {
        if !self.cancelled.is_empty() {
            self.tidied();
        }
    }

    /// How many timers wait now, the spare of a busy worker among them. Takes the lock: for metrics and
    /// tests, not for decisions.
    pub(crate) fn len(&self) -> usize {
        self.tidied()
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
        let mut wakers = Vec::new();
        let mut filed = self.filed.lock();
        filed.closed = true;
        self.sweep(&mut filed, usize::MAX, &mut swept);
        while let Some(slot) = filed.wheel.any_slot() {
            while let Some(index) = filed.wheel.pop(slot) {
                wakers.push(fire_one(&mut filed, index));
            }
        }
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

    /// Whether [`TimerQueue::ring`] does anything.
    #[inline]
    pub(crate) fn has_alarm(&self) -> bool {
        self.alarm.is_some()
    }

    /// Calls the alarm, after an arming made the next deadline earlier. With no lock held.
    pub(crate) fn ring(&self, arming: &Arming) {
        self.alarm.iter().for_each(|alarm| alarm(arming.tick.instant()));
    }

    /// Files a timer: in the entry of this queue that it has, filed or fired, or in a new one. Also
    /// whether the next deadline became earlier, so that the caller is to [`ring`](TimerQueue::ring).
    ///
    /// Unless it `Waits`, the timer still has the entry it had. Runs no code of the waker's owner.
    #[inline]
    pub(crate) fn file(&self, held: Option<u32>, arming: &mut Arming) -> (Armed, bool) {
        let Arming { tick, ref mut waker, ref mut swept } = *arming;
        let mut filed = self.filed.lock();
        if filed.closed {
            return (Armed::Closed, false);
        }
        if tick <= filed.wheel.base() {
            return (Armed::Due, false);
        }
        self.sweep_a_few(&mut filed, swept);
        let filed = &mut *filed;
        let before = held.map(|index| filed.entries.at(index).tick());
        let (index, place) = match held {
            Some(index) => {
                filed.entries.at(index).arm(tick, Identity::of(waker));
                mem::swap(filed.wheel.value(index), waker);
                (index, None)
            }
            None if filed.wheel.in_use() >= BOUND => {
                // Relaxed: a statistic.
                self.refused.fetch_add(1, Ordering::Relaxed);
                return (Armed::Full, false);
            }
            None => {
                let waker = mem::replace(waker, Waker::noop().clone());
                let place = self.take_into_use(filed, tick, waker);
                (place.index, Some(place))
            }
        };
        if held.is_none() || !mutant::on(Mutant::ReplaceUnfiled) {
            filed.wheel.unlink(index);
            filed.wheel.file(index, tick);
        }
        // Relaxed: `next` is written only under the lock, which is held.
        let next = self.next.load(Ordering::Relaxed);
        let earlier = tick.instant().as_nanos() < next;
        if earlier {
            self.publish(Some(tick));
        } else if before.is_some_and(|before| before.instant().as_nanos() == next) {
            // It was the next one itself: nobody shall wake for where it no longer is.
            self.publish(filed.wheel.next());
        }
        (Armed::Waits(place), earlier)
    }

    /// An entry that was free, with what the timer is about to be filed with.
    #[inline]
    fn take_into_use(&self, filed: &mut Filed, tick: Tick, waker: Waker) -> CachedEntry {
        let identity = Identity::of(&waker);
        let index = filed.wheel.insert(waker);
        filed.entries.make(index, &self.cancelled);
        let chunk = Arc::clone(filed.entries.chunk(index));
        chunk.at(index).arm(tick, identity);
        CachedEntry { chunk, index }
    }

    /// Fires entries that are due, and files anew those that turn out not to be; how many fired.
    fn fire(&self, filed: &mut Filed, now: Instant, limit: usize, out: &mut Vec<Waker>) -> usize {
        let (mut looks, mut fired) = (0, 0);
        while let Some(slot) = filed.wheel.reach(Tick::reached(now)) {
            while looks < limit
                && let Some((index, look)) = self.look(filed, slot)
            {
                looks += 1;
                if look == Look::Due {
                    out.push(fire_one(filed, index));
                    self.lateness.record_time(now - filed.wheel.base().instant());
                    fired += 1;
                }
            }
            if looks == limit {
                break;
            }
        }
        fired
    }

    /// Takes an entry from a slot that has come, and files it anew if it was postponed.
    #[inline]
    fn look(&self, filed: &mut Filed, slot: SlotId) -> Option<(u32, Look)> {
        let index = filed.wheel.pop(slot)?;
        let look = filed.entries.at(index).look(filed.wheel.base());
        if let Look::Postponed(tick) = look {
            filed.wheel.file(index, tick);
        }
        Some((index, look))
    }

    /// Lets go of all cancelled entries; how many timers are left.
    fn tidied(&self) -> usize {
        let mut swept = Vec::new();
        let mut filed = self.filed.lock();
        self.sweep(&mut filed, usize::MAX, &mut swept);
        self.publish(filed.wheel.next());
        let left = filed.wheel.len();
        drop(filed);
        panics::drop_all(swept);
        left
    }

    /// Lets go of up to `limit` cancelled entries; their wakers are for the caller to drop when it
    /// has given back the lock.
    fn sweep(&self, filed: &mut Filed, limit: usize, swept: &mut Vec<Waker>) {
        for _ in 0..limit {
            if filed.cancelled.is_empty() {
                filed.cancelled = self.cancelled.take();
            }
            match release_one(filed) {
                Some(waker) => swept.push(waker),
                None => return,
            }
        }
    }

    /// The share of an arming in letting go of cancelled entries.
    ///
    /// It looks at the stack at every eighth arming, and takes two entries from what was found. Each
    /// cancelled timer was armed once, so they do not pile up, and no arming pays for thousands.
    #[inline]
    fn sweep_a_few(&self, filed: &mut Filed, swept: &mut Swept) {
        if filed.cancelled.is_empty() {
            filed.patience -= 1;
            if filed.patience > 0 {
                return;
            }
            filed.patience = PATIENCE;
            filed.cancelled = self.cancelled.take();
        }
        for place in swept {
            *place = release_one(filed);
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

#[cfg(test)]
impl TimerQueue {
    /// Arms a timer, as one on a worker of this queue's does.
    pub(super) fn arm(
        &self,
        held: Option<&CachedEntry>,
        deadline: Instant,
        waker: &Waker,
    ) -> Armed {
        let mut arming = Arming::new(deadline, waker);
        let (armed, earlier) = self.file(held.map(|place| place.index), &mut arming);
        if earlier {
            self.ring(&arming);
        }
        arming.let_go();
        armed
    }
}

impl Arming {
    #[inline]
    pub(crate) fn new(deadline: Instant, waker: &Waker) -> Arming {
        let (tick, waker) = (Tick::of_deadline(deadline), waker.clone());
        Arming { tick, waker, swept: Swept::default() }
    }

    /// Drops the wakers that are left over. They may be of other tasks, with which the one that arms
    /// has nothing to do.
    #[inline]
    pub(crate) fn let_go(self) {
        panics::drop_all(self.swept.into_iter().flatten().chain([self.waker]));
    }
}

/// Takes the waker of an entry that was taken from its slot.
#[inline]
fn fire_one(filed: &mut Filed, index: u32) -> Waker {
    filed.entries.at(index).fire();
    if mutant::on(Mutant::FreeOnFire) {
        return filed.wheel.release(index, |number| filed.entries.free(number));
    }
    mem::replace(filed.wheel.value(index), Waker::noop().clone())
}

/// Takes one cancelled entry out of its slot and makes it free: its waker.
#[inline]
fn release_one(filed: &mut Filed) -> Option<Waker> {
    let index = filed.cancelled.pop(&filed.entries)?;
    filed.wheel.unlink(index);
    Some(filed.wheel.release(index, |number| filed.entries.free(number)))
}

impl fmt::Debug for TimerQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerQueue").field("next", &self.next()).finish_non_exhaustive()
    }
}

/// Timers of a queue, or two under loom, where a model shall meet the bound.
const BOUND: usize = if cfg!(heist_loom) { 2 } else { 1 << 24 };
const NEVER: u64 = Instant::FAR_FUTURE.as_nanos();
/// At which arming the stack of cancelled entries is looked at.
const PATIENCE: u32 = 8;
/// Wakers of the cancelled entries that one arming lets go of.
type Swept = [Option<Waker>; 2];
