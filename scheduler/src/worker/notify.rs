//! Wakes workers: has a wake decided by live state, and wakes the worker that was claimed for it.

use crate::clock::Instant;
use crate::panics::{self, Place};
use crate::sync::atomic::Ordering;
use crate::sync::fence;
use crate::wake::policy::{Snapshot, Trigger};
use crate::wake::{Claim, IdleCounts};
use crate::worker::shared::Shared;

/// Inline up to the decision, as in `Sleep`.
impl Shared {
    /// Wakes a worker for work that no awake worker is bound to come to, if `trigger` is worth it.
    /// The caller has made the work visible.
    #[inline(always)]
    pub(crate) fn notify_one(&self, trigger: Trigger) {
        self.wake(self.sleep.notify(trigger, self));
    }

    /// Wakes a worker for work that its owner, which is awake, comes to anyway, or that the monitor
    /// sees. Returns whether a worker was woken.
    #[inline(always)]
    pub(crate) fn notify_if_idle(&self, trigger: Trigger) -> bool {
        self.wake(self.sleep.notify_without_fence(trigger, self))
    }

    /// As [`wake_claimed`](Self::wake_claimed), if a worker was claimed.
    #[inline(always)]
    pub(crate) fn wake(&self, claim: Option<Claim>) -> bool {
        claim.is_some_and(|claim| self.wake_claimed(claim))
    }

    /// Wakes the worker that was claimed. Returns whether it was woken.
    ///
    /// Calls [`Park::wake`](crate::Park::wake), which is foreign code.
    #[inline(never)]
    pub(crate) fn wake_claimed(&self, claim: Claim) -> bool {
        match claim {
            Claim::Parked(worker) => {
                self.sleep.parker(worker).unpark();
                true
            }
            Claim::Listener(shard) => self.wake_listener(shard),
        }
    }

    /// Makes a listener of `shard` return, which then owns the wake permit. A `Park` that panics is
    /// tried once more; then the permit is released, so that the next wake is not refused.
    fn wake_listener(&self, shard: usize) -> bool {
        let woken = (0..2).any(|_| self.wake_shard(shard));
        if !woken && self.sleep.take_notification(shard) {
            self.sleep.release_permit();
            self.leave_to_monitor();
        }
        woken
    }

    /// Has a monitor that dozes look in a period from now: no worker was woken for the work that the
    /// caller submitted, nor for that of submitters that saw the permit.
    #[cold]
    fn leave_to_monitor(&self) {
        // Pairs with the fence in `MonitorState::doze`: either this sees that the monitor dozes, or
        // the monitor sees the work and does not wait.
        fence(Ordering::SeqCst);
        self.monitor.on_unpark(self.context.clock.now());
    }

    /// Returns whether the `Park` did not panic.
    pub(crate) fn wake_shard(&self, shard: usize) -> bool {
        panics::contain(Place::Park, || self.park.wake(shard)).is_some()
    }
}

/// Live state: each answer is the loads that it takes and no more.
impl Snapshot for Shared {
    #[inline]
    fn idle(&self) -> IdleCounts {
        self.sleep.idle()
    }

    fn watched_deadline(&self) -> Instant {
        // Relaxed: the fences in `Sleep::notify` and `Sleep::announce` order it with the deadline.
        Instant::from_nanos(self.timer_watch.load(Ordering::Relaxed))
    }

    fn injector_has_tasks(&self) -> bool {
        !self.injector.is_empty()
    }

    fn shared_timer_is_due(&self, now: Instant) -> bool {
        self.shared_timers_due(now)
    }

    fn worker_needs_help(&self, now: Instant) -> bool {
        self.workers.iter().any(|worker| worker.needs_help(now))
    }

    fn can_steal(&self, worker: usize, now: Instant) -> bool {
        let mut others = self.workers.iter().enumerate().filter(|&(index, _)| index != worker);
        others.any(|(_, other)| {
            !other.queue.is_empty() || other.queue.next_has_aged(now) || other.timers_stuck(now)
        })
    }

    fn uncovered_shard_is_ready(&self) -> bool {
        (0..self.park.shards())
            .any(|shard| !self.sleep.shard_is_covered(shard) && self.park.ready(shard))
    }

    fn is_in_long_poll_mode(&self, now: Instant) -> bool {
        self.monitor.in_long_poll_mode(now)
    }

    fn workers(&self) -> usize {
        self.workers.len()
    }

    fn cpus(&self) -> usize {
        self.cpus
    }

    fn max_waiters(&self) -> usize {
        self.park.max_waiters()
    }

    fn is_closing(&self) -> bool {
        self.closing()
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::wake::policy::{Action, decide};
    use crate::worker::shared::tests::of_workers;

    const NOW: Instant = Instant::from_nanos(1_000_000_000);

    /// Failure: after short handlers a burst of 2 ms each was begun by a row of three workers, and by
    /// one more each time the monitor looked: most of it waited in a shard without a listener.
    #[test]
    fn events_without_a_listener_are_worth_a_wake_in_long_poll_mode() {
        let shared = of_workers(Clock::manual().0, 2);
        let decision = || decide(Trigger::PermitReleased { now: NOW }, &shared);
        let listening = shared.sleep.announce(0, 1);
        let parked = shared.sleep.announce(1, 1);
        shared.park.wake(0);
        assert!(!shared.sleep.leave(0, listening));
        assert_eq!(decision(), Action::None, "a busy worker is back within a short poll");
        shared.monitor.begin_long_poll_mode(NOW);
        assert_eq!(decision(), Action::UnparkOne);
        let listening = shared.sleep.announce(0, 1);
        assert_eq!(decision(), Action::None, "a listener sees them");
        assert!(!shared.sleep.leave(0, listening));
        assert!(!shared.sleep.leave(1, parked));
    }
}
