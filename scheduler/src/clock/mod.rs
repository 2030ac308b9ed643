//! Clocks: the machine's, or one that a test moves.

mod instant;

use std::sync::Arc;
// Not those of `sync`: a clock belongs to no model, and has to work outside of models.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub use instant::Instant;
pub(crate) use instant::nanos;

/// A source of [`Instant`]s. Clones tell the same time.
///
/// ```
/// use std::time::Duration;
/// use heist_scheduler::time::{Clock, Instant};
///
/// let (clock, hand) = Clock::manual();
/// assert_eq!(clock.now(), Instant::ZERO);
/// hand.advance(Duration::from_secs(3));
/// assert_eq!(clock.now() - Instant::ZERO, Duration::from_secs(3));
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

/// Two kinds and a branch that always goes the same way in one runtime, rather than a `dyn` call.
#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's monotonic clock, with the origin that the machine gives it: mostly the time when it
    /// was started. All such clocks tell the same time, so instants of one runtime mean the same in
    /// another.
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// A clock that stands at [`Instant::ZERO`] until its [`ManualClock`] moves it.
    pub fn manual() -> (Clock, ManualClock) {
        let nanos = Arc::new(AtomicU64::new(0));
        (Clock(Source::Manual(Arc::clone(&nanos))), ManualClock { nanos })
    }

    /// The time now. Never earlier than what a call that happened before this one returned.
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::from_nanos(monotonic()),
            // Acquire pairs with the Release in `ManualClock`: a thread that sees the new time also
            // sees what was done before the clock was moved.
            Source::Manual(now) => Instant::from_nanos(now.load(Ordering::Acquire)),
        }
    }
}

/// Nanoseconds of the system's monotonic clock.
///
/// Not `std::time::Instant`: a worker reads this at every poll boundary, and turning an `Instant`
/// into a number costs four times as many instructions as reading it.
#[inline]
fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // Neither part is ever negative, and 64 bits hold 584 years.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Default for Clock {
    /// [`Clock::system`].
    fn default() -> Clock {
        Clock::system()
    }
}

/// The hand that moves a manual [`Clock`], for tests on virtual time.
///
/// Moving the clock wakes no worker: one that sleeps until a deadline reads the new time when it next
/// wakes.
#[derive(Clone, Debug)]
pub struct ManualClock {
    /// Shared with the clock. Written here with Release, read by [`Clock::now`] with Acquire.
    nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// Moves the clock forward by `duration`; it stops at [`Instant::FAR_FUTURE`].
    pub fn advance(&self, duration: Duration) {
        let later = |now: u64| Some(now.saturating_add(nanos(duration)));
        // Release pairs with the Acquire in `Clock::now`. Relaxed for the read: an update always reads
        // the newest value, and nothing else depends on it. The closure never declines.
        let _ = self.nanos.fetch_update(Ordering::Release, Ordering::Relaxed, later);
    }

    /// Moves the clock forward to `instant`. Time does not run backwards: an instant that has
    /// passed changes nothing.
    pub fn set(&self, instant: Instant) {
        // Release pairs with the Acquire in `Clock::now`.
        self.nanos.fetch_max(instant.as_nanos(), Ordering::Release);
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn manual_time_never_runs_backwards_and_never_overflows() {
        let (clock, hand) = Clock::manual();
        hand.set(Instant::from_nanos(10));
        hand.set(Instant::from_nanos(5));
        assert_eq!(clock.now(), Instant::from_nanos(10));
        hand.advance(Duration::MAX);
        assert_eq!(clock.clone().now(), Instant::FAR_FUTURE);
    }

    /// Failure: each clock counted from its own making, so an instant meant another time to another
    /// runtime.
    #[test]
    fn system_clocks_of_different_ages_tell_the_same_time() {
        let old = Clock::system();
        let first = old.now();
        let young = Clock::system();
        assert!(first <= young.now() && young.now() <= old.now());
    }

    #[test]
    fn system_time_is_monotonic() {
        let clock = Clock::system();
        let first = clock.now();
        assert!(clock.clone().now() >= first);
    }
}
