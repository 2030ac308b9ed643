//! Clocks: the machine's, or one that a test moves.

mod instant;
mod manual;
mod std_instant;

use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub use instant::Instant;
pub(crate) use instant::nanos;
use manual::Hand;
pub use manual::ManualClock;
pub(crate) use manual::Sleepers;

/// A source of [`Instant`]s. Clones tell the same time.
///
/// ```
/// use std::time::Duration;
/// use heist::time::{Clock, Instant};
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
    Manual(Arc<Hand>),
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
        let hand = Arc::new(Hand::default());
        (Clock(Source::Manual(Arc::clone(&hand))), ManualClock::new(hand))
    }

    /// The time now. Never earlier than what a call that happened before this one returned.
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::from_nanos(monotonic()),
            Source::Manual(hand) => hand.now(),
        }
    }

    /// Whether it is moved by hand.
    pub(crate) fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    /// How long a thread may wait that has nothing to do before `deadline`; `None` for without an end.
    ///
    /// By a clock that is moved by hand no deadline comes by itself: its move [wakes](Sleepers::wake_due)
    /// what it passes. Real time says nothing about it.
    pub(crate) fn timeout_until(&self, deadline: Instant) -> Option<Duration> {
        let left = deadline.duration_since(self.now());
        (left.is_zero() || !self.is_manual()).then_some(left)
    }

    /// Has each move of the clock wake these sleepers, for as long as they exist. Does nothing where the
    /// clock moves by itself.
    pub(crate) fn wakes(&self, sleepers: Weak<dyn Sleepers>) {
        if let Source::Manual(hand) = &self.0 {
            hand.add(sleepers);
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
