//! What all workers of a runtime share.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::clock::Instant;
use crate::context::{self, RuntimeContext};
use crate::fair::Usage;
use crate::monitor::{MonitorShared, Overload, OverloadLevel};
use crate::park::Park;
use crate::queue::Injector;
use crate::queue::SharedQueue;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::task::{Owner, Task, Withdraw};
use crate::wake::Sleep;
use crate::wake::policy::Trigger;
use crate::worker::drainers::Drainers;
use crate::worker::worker_shared::{WorkerShared, due};

/// The part of a runtime that its workers share.
pub(crate) struct Shared {
    pub(crate) park: Arc<dyn Park>,
    pub(crate) context: Arc<RuntimeContext>,
    pub(crate) injector: Injector,
    /// Which threads drop what is injected while the runtime closes.
    pub(crate) drainers: Drainers,
    /// Each by itself, so that a worker holds its own and need not look it up.
    pub(crate) workers: Box<[Arc<CachePadded<WorkerShared>>]>,
    pub(crate) sleep: Sleep,
    /// The deadline of the shared timers that an idle worker waits for, in nanoseconds; `u64::MAX`
    /// where none waits.
    ///
    /// Lowered by the worker that waits for it, after its announcement, and set back by the same worker
    /// when it leaves. An earlier timer wakes a worker, which finds that timer when it becomes idle
    /// again. Relaxed: the SeqCst fences in `Sleep::notify` and `Sleep::announce` order it with the timers.
    pub(crate) timer_watch: AtomicU64,
    pub(crate) monitor: MonitorShared,
    pub(crate) overload: Overload,
    pub(crate) usage: Usage,
    pub(crate) budget: u32,
    /// How many workers can run at once.
    pub(crate) cpus: usize,
}

impl Shared {
    pub(crate) fn new(
        park: Arc<dyn Park>,
        context: Arc<RuntimeContext>,
        workers: Vec<SharedQueue>,
        budget: u32,
        monitor: MonitorShared,
    ) -> Self {
        let (shards, max_waiters, now) = (park.shards(), park.max_waiters(), context.clock.now());
        context.shared_timers.start_at(now);
        Shared {
            sleep: Sleep::new(workers.len(), shards, max_waiters),
            park,
            context,
            injector: Injector::new(),
            drainers: Drainers::new(),
            workers: workers
                .into_iter()
                .map(|queue| Arc::new(CachePadded::new(WorkerShared::new(queue, now))))
                .collect(),
            timer_watch: AtomicU64::new(u64::MAX),
            monitor,
            overload: Overload::new(shards),
            usage: Usage::new(now),
            budget,
            cpus: num_cpus::get(),
        }
    }

    #[inline]
    pub(crate) fn closing(&self) -> bool {
        self.context.is_closing()
    }

    /// Takes a task from a thread that is none of this runtime's workers.
    pub(crate) fn inject(&self, task: Task) {
        let now = self.context.clock.now();
        task.metadata().stamp_wake(now, false, task.metadata().woken().account());
        self.injector.push(task, now);
        self.notify_one(Trigger::ForeignSubmit);
        if self.closing() && self.drainers.has_none() {
            drop(self.drainer());
        }
    }

    /// Makes the current thread a drainer until this is dropped.
    pub(crate) fn drainer(&self) -> Drainer<'_> {
        self.drainers.enter();
        Drainer(self)
    }

    /// Drops what is queued anywhere, also behind a poll that does not end. For a drainer of a runtime that
    /// shuts down.
    pub(crate) fn drop_queued(&self) {
        for worker in &self.workers {
            while let Some(task) = worker.queue.take_any() {
                drop(task);
            }
        }
        self.injector.drop_all();
    }

    /// How long the oldest runnable task has waited, in nanoseconds; see
    /// [`Metrics::oldest_runnable`](crate::Metrics::oldest_runnable) for how far that is exact.
    pub(crate) fn oldest_runnable(&self, now: Instant) -> u64 {
        let queues = self.workers.iter().map(|worker| worker.queue.age(now));
        queues.fold(self.injector.age(now), u64::max)
    }

    /// How much too long what arrives waits while every worker is busy.
    pub(crate) fn overload_level(&self) -> OverloadLevel {
        match self.overload.level() {
            OverloadLevel::None => OverloadLevel::None,
            level if self.sleep.idle().all() == 0 => level,
            _ => OverloadLevel::None,
        }
    }

    pub(crate) fn shared_timers_due(&self, now: Instant) -> bool {
        due(&self.context.shared_timers, now)
    }

    /// A timer was armed off the workers, earlier than any other there.
    pub(crate) fn shared_timer_armed(&self, deadline: Instant) {
        // The timer is published before the fence in `Sleep::notify`, and the watch is loaded after it;
        // a worker announces itself before its fence, and then loads the timers and lowers the watch.
        self.notify_one(Trigger::SharedTimer { deadline });
    }

    /// Makes the calling worker the one that waits for the shared timers, if none waits for a deadline as
    /// early. Returns the deadline it has to wait for.
    pub(crate) fn watch_shared_timers(&self) -> Option<Instant> {
        let next = self.context.shared_timers.next()?;
        let before = self.timer_watch.fetch_min(next.as_nanos(), Ordering::Relaxed);
        (next.as_nanos() < before).then_some(next)
    }

    /// Gives the watch back, unless another worker has taken over with an earlier deadline.
    pub(crate) fn unwatch_shared_timers(&self, watched: Instant) {
        let _ = self.timer_watch.compare_exchange(
            watched.as_nanos(),
            u64::MAX,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }
}

/// The current thread drops what is injected while the runtime closes, at the latest when this is dropped.
#[must_use = "the thread is a drainer until this is dropped"]
pub(crate) struct Drainer<'a>(&'a Shared);

impl Drop for Drainer<'_> {
    fn drop(&mut self) {
        let Drainer(shared) = self;
        let is_needed = || shared.closing() && !shared.injector.is_empty();
        shared.drainers.leave(is_needed, || shared.injector.drop_all());
    }
}

impl Withdraw for Shared {}

impl Owner for Shared {
    fn schedule(&self, task: Task) {
        self.inject(task);
    }

    fn run_inside(&self, code: &mut dyn FnMut()) {
        context::run_inside(&self.context, code);
    }
}

#[cfg(all(test, not(heist_loom)))]
pub(crate) mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::park::Idle;
    use crate::wheel::TimerQueue;

    /// The shared part of a runtime with one worker and one shard, on which nothing runs.
    pub(crate) fn of_one_worker(clock: Clock) -> Shared {
        of_workers(clock, 1)
    }

    /// The shared part of a runtime with one shard, on which nothing runs.
    pub(crate) fn of_workers(clock: Clock, workers: usize) -> Shared {
        on_park(Idle::new(), clock, (0..workers).map(|_| crate::queue::queue().1).collect())
    }

    pub(crate) fn on_park(park: Arc<dyn Park>, clock: Clock, queues: Vec<SharedQueue>) -> Shared {
        let timers = Arc::new(TimerQueue::new(None));
        let runtime = Arc::new(RuntimeContext::new(clock, timers));
        Shared::new(park, runtime, queues, 1, MonitorShared::new().unwrap())
    }
}
