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
