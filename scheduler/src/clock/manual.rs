//! A clock that is moved by hand, and what its moves wake.

use std::fmt;
use std::sync::{Arc, Weak};
// Not those of `sync`: a clock belongs to no model, and has to work outside of models.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Instant, nanos};

/// The hand that moves a manual [`Clock`](super::Clock), for tests on virtual time.
///
/// A move wakes everything that waits for a deadline that it passes, in each runtime that goes by the
/// clock: sleeps, time-outs, intervals and timers of tasks and of threads in
/// [`block_on`](crate::Handle::block_on), and with them all time limits of a server. It has done so when
/// it returns. What was woken then runs on the runtime's own threads, in the order of the deadlines where
/// there is one worker: a test awaits its effect. A deadline that is set later and has passed by then
/// needs no wake.
///
/// Nothing else becomes due: while the clock stands still, workers wait for events alone. Time moves in
/// one step. A task that sleeps for a second in a loop is woken once by a move of ten seconds; move the
/// clock ten times, or call [`advance_to_next_timer`](ManualClock::advance_to_next_timer), to see each.
///
/// ```
/// use std::time::Duration;
/// use heist::Builder;
/// use heist::time::{Clock, sleep};
///
/// let (clock, hand) = Clock::manual();
/// let runtime = Builder::new().workers(1).clock(clock).start()?;
/// let hour = runtime.spawn(async { sleep(Duration::from_secs(3_600)).await });
/// // One worker runs what was spawned in order: the task sleeps when this has run.
/// runtime.block_on(runtime.spawn(async {})).unwrap();
/// hand.advance(Duration::from_secs(3_600));
/// runtime.block_on(hour).unwrap();
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    /// Shared with the clock.
    hand: Arc<Hand>,
}

/// What waits for deadlines by a clock: the timers of a runtime.
pub(crate) trait Sleepers: Send + Sync {
    /// Wakes what waits for a deadline that has passed at `now`; how many timers fired. What is armed
    /// afterwards with such a deadline is told that it has passed.
    fn wake_due(&self, now: Instant) -> usize;

    /// The next deadline, or an earlier time.
    fn next_deadline(&self) -> Option<Instant>;
}

/// The time of a manual clock, and what its moves wake.
#[derive(Default)]
pub(super) struct Hand {
    /// Written with Release, read with Acquire: a thread that sees the new time also sees what was done
    /// before the clock was moved.
    nanos: AtomicU64,
    /// Holding this = the right to add sleepers and to list them. They are called without it.
    sleepers: Mutex<Vec<Weak<dyn Sleepers>>>,
}

impl ManualClock {
    pub(super) fn new(hand: Arc<Hand>) -> ManualClock {
        ManualClock { hand }
    }

    /// Moves the clock forward by `duration`; it stops at [`Instant::FAR_FUTURE`].
    ///
    /// Calls the wakers of what it passes, on this thread, so call it with no lock held that a waker may
    /// take. It may be called in a task and in `block_on`.
    pub fn advance(&self, duration: Duration) {
        let later = |now: u64| Some(now.saturating_add(nanos(duration)));
        // Release pairs with the Acquire in `Hand::now`. Relaxed for the read: an update always reads
        // the newest value, and nothing else depends on it. The closure never declines.
        let _ = self.hand.nanos.fetch_update(Ordering::Release, Ordering::Relaxed, later);
        self.hand.wake_due();
    }

    /// Moves the clock forward to `instant`. Time does not run backwards: an instant that has
    /// passed changes nothing.
    ///
    /// Wakes as [`advance`](ManualClock::advance) does.
    pub fn set(&self, instant: Instant) {
        self.set_silently(instant);
        self.hand.wake_due();
    }

    /// Moves the clock forward to the first deadline of a timer that waits, and wakes what waits for it;
    /// the time then. `None` if no timer waits: the clock stands where it was.
    ///
    /// A timer that was dropped does not count, unless it was dropped on another worker that is busy. A task
    /// that is still about to set an earlier deadline is overtaken, so let what was woken before run
    /// first, by awaiting its effect.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::{Builder, yield_now};
    /// use heist::time::{Clock, Instant, sleep};
    ///
    /// let (clock, hand) = Clock::manual();
    /// let runtime = Builder::new().workers(1).clock(clock).start()?;
    /// let sleeps = runtime.spawn(async {
    ///     sleep(Duration::from_millis(20)).await;
    ///     Instant::now()
    /// });
    /// runtime.block_on(runtime.spawn(async {})).unwrap();
    /// assert_eq!(hand.advance_to_next_timer(), Some(Instant::ZERO + Duration::from_millis(20)));
    /// let ended = runtime.block_on(sleeps).unwrap();
    /// assert_eq!(ended, Instant::ZERO + Duration::from_millis(20));
    /// assert_eq!(hand.advance_to_next_timer(), None);
    /// # Ok::<(), heist::StartError>(())
    /// ```
    #[allow(clippy::must_use_candidate)]
    pub fn advance_to_next_timer(&self) -> Option<Instant> {
        loop {
            let sleepers = self.hand.sleepers();
            let next = sleepers.iter().filter_map(|sleepers| sleepers.next_deadline()).min()?;
            self.set_silently(next);
            // Nothing may fire there: the timer was moved to a later deadline, or away.
            if self.hand.wake_due() > 0 {
                return Some(self.hand.now());
            }
        }
    }

    /// Moves the clock as [`set`](ManualClock::set) does, and wakes nothing: for tests of a worker that
    /// comes late to its timers, which on a system's clock is one that was busy.
    #[doc(hidden)]
    pub fn set_silently(&self, instant: Instant) {
        // Release pairs with the Acquire in `Hand::now`.
        self.hand.nanos.fetch_max(instant.as_nanos(), Ordering::Release);
    }
}

impl Hand {
    #[inline]
    pub(super) fn now(&self) -> Instant {
        // Acquire pairs with the Release in `ManualClock`.
        Instant::from_nanos(self.nanos.load(Ordering::Acquire))
    }

    pub(super) fn add(&self, added: Weak<dyn Sleepers>) {
        let mut sleepers = self.sleepers.lock();
        sleepers.retain(|sleepers| sleepers.strong_count() > 0);
        sleepers.push(added);
    }

    fn sleepers(&self) -> Vec<Arc<dyn Sleepers>> {
        self.sleepers.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Wakes what waits for a deadline that has passed; how many timers fired.
    fn wake_due(&self) -> usize {
        let sleepers = self.sleepers();
        // Not the time of this move: another thread may have moved the clock further since.
        sleepers.iter().map(|sleepers| sleepers.wake_due(self.now())).sum()
    }
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").field("now", &self.now()).finish_non_exhaustive()
    }
}
