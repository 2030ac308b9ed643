//! The orderly end of a runtime.

use std::sync::Arc;
use std::time::Duration;

use super::handle::Handle;
use crate::context::{self, ThreadKind};
use crate::panics::{self, Place};
use crate::task::TaskRegistry;
use crate::wake::policy::Trigger;

/// What a shutdown found and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks that had not finished and were dropped, and blocking work that had not begun. Exact, as
    /// is the next one: a task that lived when the shutdown began has finished or is in one of them.
    pub tasks_dropped: usize,
    /// Tasks still being polled, or blocking work still running, when the deadline came.
    pub tasks_left: usize,
    /// Threads that had not ended when the deadline came. They end when their polls do.
    pub threads_left: usize,
}

impl Handle {
    fn all_registries(&self) -> impl Iterator<Item = &Arc<TaskRegistry>> {
        self.0.registries.iter().chain([&self.0.blocking_registry])
    }

    pub(super) fn shutdown(&self, timeout: Duration) -> ShutdownReport {
        let timeout = if self.is_on_own_thread() { Duration::ZERO } else { timeout };
        let started = std::time::Instant::now();
        let left = || timeout.saturating_sub(started.elapsed());
        let _inside = (!context::is_inside(&self.0.context)).then(|| self.scope());

        // Refuse new tasks first, so that the ones to be dropped only get fewer.
        self.all_registries().for_each(|registry| registry.close());
        // Before the runtime closes: a thread that wakes a task then finds this one to drop it.
        let _drainer = self.0.shared.drainer();
        self.0.context.begin_closing();
        self.end_waits();
        // Before threads are waited for, since a thread may wait for what a task owns.
        self.drop_tasks();
        self.wait_and_drain(left, |timeout| self.0.threads.wait(timeout));
        let threads_left = self.0.threads.join();
        // A poll that was under way may have woken others since, or begun to wait.
        self.drop_tasks();
        for registry in self.all_registries() {
            self.wait_and_drain(left, |timeout| registry.wait_empty(timeout));
        }
        let mut report = ShutdownReport { threads_left, ..ShutdownReport::default() };
        for (dropped, left) in self.all_registries().map(|registry| registry.dropped_and_left()) {
            report.tasks_dropped += dropped;
            report.tasks_left += left;
        }
        report
    }

    /// Calls `wait` until it returns true or no time is `left`, and drops what is queued meanwhile.
    fn wait_and_drain(&self, left: impl Fn() -> Duration, wait: impl Fn(Duration) -> bool) {
        loop {
            let left = left();
            if wait(left.min(DRAIN_INTERVAL)) || left.is_zero() {
                return;
            }
            self.0.shared.drop_queued();
        }
    }

    /// Makes every waiting thread return.
    fn end_waits(&self) {
        let shared = &self.0.shared;
        let mut wakers = panics::contain(Place::Park, || shared.park.close()).unwrap_or_default();
        for worker in &shared.workers {
            wakers.extend(worker.timers.close());
        }
        wakers.extend(shared.context.shared_timers.close());
        shared.notify_if_idle(Trigger::Shutdown);
        shared.monitor.interrupt();
        self.0.blocking.close();
        // These are woken though none of their waits resumes: a worker drops its task, a thread in
        // `block_on` panics, and a task of another runtime learns that the source is closed.
        panics::wake_all(wakers);
        self.0.blocked.unpark_all();
    }

    /// By a worker, which ends: drops what began to wait in its last turn, if the shutdown does not look once
    /// more.
    pub(super) fn drop_tasks_left_behind(&self) {
        if self.0.threads.are_left_behind() {
            self.drop_tasks();
        }
    }

    /// Drops every task that is not being polled.
    pub(super) fn drop_tasks(&self) {
        let _drainer = self.0.shared.drainer();
        self.0.context.thread_scope.run(ThreadKind::Other, || {
            // Each is queued by its wake, and what is queued is dropped.
            self.all_registries().for_each(|registry| registry.wake_all());
            self.0.shared.drop_queued();
        });
    }
}

/// How often a shutdown that waits looks for tasks that were queued meanwhile. A thread that was about to queue a
/// task when the runtime closed does not notify the shutdown of it.
const DRAIN_INTERVAL: Duration = Duration::from_millis(1);
