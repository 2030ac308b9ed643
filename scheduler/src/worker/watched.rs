//! The workers as the monitor sees them.

use crate::clock::{Instant, nanos};
use crate::monitor::{LONG_POLL, MonitorShared, Overload, Workers};
use crate::threads::Thread;
use crate::wake::policy::{Snapshot, Trigger};
use crate::worker::shared::Shared;

impl Shared {
    /// Whether every worker is idle.
    pub(crate) fn all_idle(&self) -> bool {
        self.sleep.idle().all() == self.workers.len()
    }

    /// Whether an idle worker waits for the next shared timer, or for an earlier one.
    ///
    /// Not so between the arming of the timer and the end of the wake that it causes, and for as long as
    /// no worker leaves by itself where the `Park` panicked in that wake. The monitor is what is left
    /// to see such a timer, and a monitor that dozes does not see it become due.
    fn next_shared_timer_is_watched(&self) -> bool {
        let next = self.context.shared_timers.next();
        next.is_none_or(|next| self.watched_deadline() <= next)
    }
}

impl Workers for Shared {
    fn monitor(&self) -> &MonitorShared {
        &self.monitor
    }

    fn overload(&self) -> &Overload {
        &self.overload
    }

    fn now(&self) -> Instant {
        self.context.clock.now()
    }

    fn is_closing(&self) -> bool {
        self.closing()
    }

    fn count(&self) -> usize {
        self.workers.len()
    }

    fn at_rest(&self) -> bool {
        self.all_idle()
            && self.injector.is_empty()
            && self.workers.iter().all(|worker| worker.queue.is_empty())
            && self.next_shared_timer_is_watched()
    }

    fn any_is_idle(&self) -> bool {
        let workers = self.sleep.idle();
        let idle = |shard| self.sleep.shard_is_covered(shard) && !self.park.ready(shard);
        workers.parked() > 0 || workers.listening() > 0 && (0..self.park.shards()).any(idle)
    }

    fn oldest_runnable(&self, now: Instant) -> u64 {
        Shared::oldest_runnable(self, now)
    }

    fn raise_estimates(&self, now: Instant) {
        for worker in &self.workers {
            worker.raise_estimate_if_stuck(now);
        }
    }

    fn long_poll(&self, worker: usize, now: Instant) -> Option<u64> {
        let (_, age) = self.workers[worker].current_poll(now)?;
        (age > nanos(LONG_POLL)).then(|| now.as_nanos() - age)
    }

    fn thread(&self, worker: usize) -> Option<Thread> {
        self.workers[worker].thread()
    }

    fn notify(&self, trigger: Trigger) -> bool {
        self.notify_if_idle(trigger)
    }

    fn wake_shard(&self, shard: usize) {
        Shared::wake_shard(self, shard);
    }
}
