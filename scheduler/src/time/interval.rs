//! Ticks at a fixed period.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Timer;
use super::now::current_time;
use crate::clock::{Instant, nanos};
use crate::coop;

/// Ticks every `period`, for the first time at once.
///
/// ```
/// use std::time::Duration;
/// use heist::time;
///
/// let runtime = heist::Builder::new().start()?;
/// runtime.block_on(async {
///     let mut interval = time::interval(Duration::from_millis(1));
///     let first = interval.tick().await;
///     let second = interval.tick().await;
///     assert_eq!(second - first, Duration::from_millis(1));
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
///
/// # Panics
///
/// If `period` is zero; and outside a runtime, as [`sleep`](super::sleep) does.
pub fn interval(period: Duration) -> Interval {
    interval_at(current_time("time::interval()"), period)
}

/// Ticks every `period`, for the first time at `start`.
///
/// # Panics
///
/// If `period` is zero. Waiting for a tick panics outside a runtime.
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period longer than zero");
    let mut interval =
        Interval { timer: Timer::new(), period, missed: MissedTickBehavior::default() };
    interval.timer.set(Some(start));
    interval
}

/// What an [`Interval`] does about ticks whose time passed while no task waited for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissedTickBehavior {
    /// Ticks without a pause until it has caught up: as many ticks as periods have passed. Default.
    #[default]
    Burst,
    /// Ticks once, and counts the next period from that moment.
    Delay,
    /// Ticks once, leaves out the others, and keeps to multiples of the period since the start.
    Skip,
}

/// A sequence of ticks; see [`interval`] and [`interval_at`].
#[derive(Debug)]
#[must_use = "an interval ticks only when it is asked to"]
pub struct Interval {
    timer: Timer,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and returns the time that it was due at.
    ///
    /// Cancel-safe: a tick that was not returned stays due.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Ready with the time it was due at if a tick has come; otherwise the task is woken when it
    /// does.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.timer.poll_elapsed(cx));
        ready!(coop::poll_proceed(cx));
        let due = self.next_tick();
        let now = current_time("an interval");
        self.timer.set(Some(self.missed.following(due, now, self.period)));
        Poll::Ready(due)
    }

    /// When the next tick is due; [`Instant::FAR_FUTURE`] means never.
    pub fn next_tick(&self) -> Instant {
        self.timer.deadline().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Time from tick to tick.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Starts a new period now: the next tick is due when it ends.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn reset(&mut self) {
        self.reset_at(current_time("Interval::reset()") + self.period);
    }

    /// The next tick is due now.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn reset_immediately(&mut self) {
        self.reset_at(current_time("Interval::reset_immediately()"));
    }

    /// The next tick is due after `duration` from now.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn reset_after(&mut self, duration: Duration) {
        self.reset_at(current_time("Interval::reset_after()") + duration);
    }

    /// The next tick is due at `deadline`.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.timer.set(Some(deadline));
    }

    /// What is done about missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Sets what is done about missed ticks.
    pub fn set_missed_tick_behavior(&mut self, missed: MissedTickBehavior) {
        self.missed = missed;
    }
}

impl MissedTickBehavior {
    /// When the tick after the one that was due at `due` and is taken at `now` is due.
    fn following(self, due: Instant, now: Instant, period: Duration) -> Instant {
        let next = due + period;
        if next > now {
            return next;
        }
        match self {
            MissedTickBehavior::Burst => next,
            MissedTickBehavior::Delay => now + period,
            MissedTickBehavior::Skip => now + period - phase(due, now, period),
        }
    }
}

/// How far into a period that began at `start` or a multiple of it later the time `now` is.
fn phase(start: Instant, now: Instant, period: Duration) -> Duration {
    Duration::from_nanos(nanos(now - start) % nanos(period))
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_nanos(100);

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn no_policy_moves_a_tick_that_was_taken_in_time() {
        for missed in
            [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip]
        {
            assert_eq!(missed.following(at(1_000), at(1_030), PERIOD), at(1_100));
        }
    }

    #[test]
    fn each_policy_follows_a_late_tick_in_its_own_way() {
        let (due, now) = (at(1_000), at(1_330));
        assert_eq!(MissedTickBehavior::Burst.following(due, now, PERIOD), at(1_100));
        assert_eq!(MissedTickBehavior::Delay.following(due, now, PERIOD), at(1_430));
        assert_eq!(MissedTickBehavior::Skip.following(due, now, PERIOD), at(1_400));
        assert_eq!(MissedTickBehavior::Skip.following(due, at(1_300), PERIOD), at(1_400));
    }

    #[test]
    fn a_period_without_end_never_ticks_again() {
        let next = MissedTickBehavior::Skip.following(at(1_000), at(2_000), Duration::MAX);
        assert_eq!(next, Instant::FAR_FUTURE);
    }

    #[test]
    #[should_panic(expected = "a period longer than zero")]
    fn a_period_of_zero_is_refused() {
        let _ = interval_at(Instant::ZERO, Duration::ZERO);
    }
}
