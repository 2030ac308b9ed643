//! One timer for all deadlines of a connection.

use std::task::{Context, Poll};

use heist_scheduler::time::{Instant, Timer};

/// The timer that wakes a connection's task at the earliest of its deadlines.
///
/// It is lazy. A deadline that moves later, as most do with each event, leaves the timer where it
/// is. When the timer fires, the task looks what is due, which mostly is nothing, and arms it for
/// what comes first.
pub(crate) struct DeadlineTimer(Timer);

impl DeadlineTimer {
    /// A timer that is not armed.
    pub(crate) const fn new() -> DeadlineTimer {
        DeadlineTimer(Timer::new())
    }

    /// Whether the task of `cx` will be woken at `deadline` or before, and not earlier than after
    /// `now`. If so, there is nothing to do.
    #[inline]
    pub(crate) fn covers(&self, deadline: Instant, now: Instant, cx: &Context<'_>) -> bool {
        self.is_armed_by(deadline) && self.0.may_skip_poll_for(now, cx)
    }

    /// As [`covers`](DeadlineTimer::covers), where it is always the same task that polls.
    #[inline]
    pub(crate) fn covers_same_task(&self, deadline: Instant, now: Instant) -> bool {
        self.is_armed_by(deadline) && self.0.may_skip_poll(now)
    }

    #[inline]
    fn is_armed_by(&self, deadline: Instant) -> bool {
        self.0.deadline().is_some_and(|armed| armed <= deadline)
    }

    /// Has the task woken at `deadline`, or before it. Ready if that time has passed already.
    pub(crate) fn arm(
        &mut self,
        deadline: Instant,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let armed = self.0.deadline().unwrap_or(Instant::FAR_FUTURE);
        // One that has elapsed says so until it is set again, also where this worker's clock is
        // behind the clock of the worker that saw it elapse.
        if deadline < armed || armed <= now || self.0.is_elapsed() {
            self.0.set(Some(deadline));
        }
        let mut polled = self.0.poll_elapsed(cx);
        if polled.is_ready() && self.is_before(deadline) {
            // Another worker, whose clock is ahead, has seen the earlier one elapse.
            self.0.set(Some(deadline));
            polled = self.0.poll_elapsed(cx);
        }
        polled
    }

    fn is_before(&self, deadline: Instant) -> bool {
        self.0.deadline().is_some_and(|armed| armed < deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Wake, Waker};
    use std::time::Duration;

    use heist_scheduler::time::{Clock, ManualClock};
    use heist_scheduler::{Builder, Idle, Runtime};

    use super::*;

    /// A runtime whose clock is moved by hand.
    fn runtime() -> (Runtime, ManualClock) {
        let (clock, hand) = Clock::manual();
        let runtime = Builder::new().workers(1).clock(clock).start(Idle::new());
        (runtime.expect("one worker can be started"), hand)
    }

    /// A task in name only, told apart from others by its address.
    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn task() -> Waker {
        Waker::from(Arc::new(Task))
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn timer_covers_all_deadlines_from_the_one_it_is_armed_at() {
        let (runtime, _hand) = runtime();
        let _scope = runtime.handle().enter();
        let (task, other) = (task(), task());
        let (mut cx, other) = (Context::from_waker(&task), Context::from_waker(&other));
        let mut timer = DeadlineTimer::new();
        assert!(!timer.covers(at(10), at(0), &cx));
        assert!(timer.arm(at(10), at(0), &mut cx).is_pending());
        // A later deadline leaves the timer where it is.
        assert!(timer.arm(at(20), at(0), &mut cx).is_pending());
        assert!(timer.covers(at(10), at(0), &cx) && timer.covers_same_task(at(20), at(0)));
        assert!(!timer.covers(at(10), at(0), &other));
        assert!(!timer.covers(at(9), at(0), &cx) && !timer.covers_same_task(at(9), at(0)));
        assert!(timer.arm(at(9), at(0), &mut cx).is_pending());
        assert!(timer.covers(at(9), at(0), &cx));
        // Once its time has come it covers nothing, whatever comes later.
        assert!(!timer.covers(at(20), at(9), &cx) && !timer.covers_same_task(at(20), at(9)));
    }

    /// Failure: a deadline that moved later is taken for passed, or never wakes its task.
    #[test]
    fn timer_that_has_fired_is_armed_for_the_deadline_that_comes_next() {
        let (runtime, hand) = runtime();
        let _scope = runtime.handle().enter();
        let task = task();
        let mut cx = Context::from_waker(&task);
        let mut timer = DeadlineTimer::new();
        assert!(timer.arm(at(10), at(0), &mut cx).is_pending());
        hand.advance(Duration::from_secs(10));
        assert!(timer.arm(at(20), at(10), &mut cx).is_pending());
        assert!(timer.covers(at(20), at(10), &cx));
        // The caller's time is behind the clock, as that of a worker may be.
        hand.advance(Duration::from_secs(10));
        assert!(timer.arm(at(30), at(19), &mut cx).is_pending());
        assert!(timer.covers(at(30), at(19), &cx));
        hand.advance(Duration::from_secs(10));
        assert!(timer.arm(at(30), at(29), &mut cx).is_ready());
        assert!(timer.arm(at(40), at(29), &mut cx).is_pending());
        assert!(timer.covers(at(40), at(29), &cx));
        assert!(timer.arm(at(30), at(30), &mut cx).is_ready());
    }
}
