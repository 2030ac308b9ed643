//! What all workers of a runtime share.

use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;

use crate::clock::{Clock, Instant, nanos};
use crate::context::{self, RuntimeContext};
use crate::metrics::{WorkerCounters, WorkerHistograms};
use crate::monitor::{MonitorShared, Overload};
use crate::park::Park;
use crate::queue::Injector;
use crate::queue::SharedQueue;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::task::{Owner, Task, WakeStamp, Withdraw};
use crate::threads::Thread;
use crate::wake::Sleep;
use crate::wake::estimate::{Estimate, WORTH_A_WAKE};
use crate::wake::policy::Trigger;
use crate::wheel::TimerQueue;

pub(crate) struct Shared {
    pub(crate) park: Arc<dyn Park>,
    pub(crate) context: Arc<RuntimeContext>,
    /// That of the runtime, at hand.
    pub(crate) clock: Clock,
    pub(crate) injector: Injector,
    /// Each by itself, so that a worker holds its own and comes to it without looking it up.
    pub(crate) workers: Box<[Arc<CachePadded<WorkerShared>>]>,
    pub(crate) sleep: Sleep,
    /// The deadline of the shared timers that some sleeper waits for, in nanoseconds.
    ///
    /// Lowered by whoever goes to sleep on it, after announcing itself; set back by the same one
    /// when it gets up. An earlier timer wakes somebody, who finds it here on going back to sleep.
    pub(crate) timer_watch: AtomicU64,
    pub(crate) monitor: MonitorShared,
    pub(crate) overload: Overload,
    pub(crate) budget: u32,
}

/// The part of a worker that others see; written by its owner alone unless it says otherwise.
pub(crate) struct WorkerShared {
    pub(crate) queue: SharedQueue,
    pub(crate) timers: Arc<TimerQueue>,
    /// `h` in nanoseconds; the monitor raises it while the owner is stuck.
    estimate: AtomicU64,
    /// When the poll under way began, in clock nanoseconds; 0 between polls.
    poll_started: AtomicU64,
    /// The address of the task being polled; meaningful while `poll_started` is not 0.
    polling: AtomicU64,
    /// The owner's thread, once it runs on one.
    thread: OnceLock<Option<Thread>>,
    pub(crate) counters: WorkerCounters,
    pub(crate) histograms: WorkerHistograms,
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
            clock: context.clock.clone(),
            context,
            injector: Injector::new(),
            workers: workers
                .into_iter()
                .map(|queue| Arc::new(CachePadded::new(WorkerShared::new(queue, now))))
                .collect(),
            timer_watch: AtomicU64::new(u64::MAX),
            monitor,
            overload: Overload::new(shards),
            budget,
        }
    }

    #[inline]
    pub(crate) fn closing(&self) -> bool {
        self.context.is_closing()
    }

    /// Takes a task from a thread that is none of this runtime's workers.
    fn inject(&self, task: Task) {
        let now = self.clock.now();
        task.metadata().stamp_wake(WakeStamp::new(now, false));
        self.injector.push(task, now);
        self.notify_one(Trigger::ForeignSubmit);
        if self.closing() {
            self.injector.drop_all();
        }
    }

    /// Drops what is queued anywhere, also behind a poll that does not end. For a runtime that shuts
    /// down.
    pub(crate) fn drop_queued(&self) {
        self.injector.drop_all();
        for worker in &self.workers {
            while let Some(task) = worker.queue.take_any() {
                drop(task);
            }
        }
    }

    /// How long the oldest runnable task has waited, in nanoseconds; see
    /// [`Metrics::oldest_runnable`](crate::Metrics::oldest_runnable) for how far that is exact.
    pub(crate) fn oldest_runnable(&self, now: Instant) -> u64 {
        let queues = self.workers.iter().map(|worker| worker.queue.age(now));
        queues.fold(self.injector.age(now), u64::max)
    }

    /// Whether everybody is busy and what arrives waits too long.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.overload.is_on() && self.sleep.idle().all() == 0
    }

    pub(crate) fn shared_timers_due(&self, now: Instant) -> bool {
        due(&self.context.shared_timers, now)
    }

    /// A timer was armed off the workers, earlier than any other there.
    pub(crate) fn shared_timer_armed(&self, deadline: Instant) {
        // The timer is published before the fence in `notify_one`, and the watch is loaded after it;
        // a worker announces itself before its fence, and then loads the timers and lowers the watch.
        self.notify_one(Trigger::SharedTimer { deadline });
    }

    /// Makes the calling worker the one that waits for the shared timers, if nobody waits for a
    /// deadline as early. Returns the deadline it has to wait for.
    pub(crate) fn watch_shared_timers(&self) -> Option<Instant> {
        let next = self.context.shared_timers.next()?;
        let before = self.timer_watch.fetch_min(next.as_nanos(), Ordering::Relaxed);
        (next.as_nanos() < before).then_some(next)
    }

    /// Gives the watch back, unless somebody has taken over with an earlier deadline.
    pub(crate) fn unwatch_shared_timers(&self, watched: Instant) {
        let _ = self.timer_watch.compare_exchange(
            watched.as_nanos(),
            u64::MAX,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
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

impl WorkerShared {
    fn new(queue: SharedQueue, now: Instant) -> Self {
        let timers = Arc::new(TimerQueue::new(None));
        timers.start_at(now);
        queue.set_oldest(now);
        WorkerShared {
            queue,
            timers,
            estimate: AtomicU64::new(Estimate::START.as_nanos()),
            poll_started: AtomicU64::new(0),
            polling: AtomicU64::new(0),
            thread: OnceLock::new(),
            counters: WorkerCounters::default(),
            histograms: WorkerHistograms::new(),
        }
    }

    pub(crate) fn estimate(&self) -> Estimate {
        Estimate::from_nanos(self.estimate.load(Ordering::Relaxed))
    }

    pub(crate) fn set_estimate(&self, estimate: Estimate) {
        self.estimate.store(estimate.as_nanos(), Ordering::Relaxed);
    }

    /// By the owner: it runs on the calling thread from now on.
    pub(crate) fn runs_here(&self) {
        self.thread.get_or_init(Thread::current);
    }

    /// The owner's thread, if it can be looked at.
    pub(crate) fn thread(&self) -> Option<Thread> {
        self.thread.get().copied().flatten()
    }

    pub(crate) fn begin_poll(&self, now: Instant, address: u64) {
        self.polling.store(address, Ordering::Relaxed);
        self.poll_started.store(now.as_nanos().max(1), Ordering::Release);
    }

    pub(crate) fn end_poll(&self) {
        self.poll_started.store(0, Ordering::Release);
    }

    /// The task being polled and for how long, in nanoseconds.
    pub(crate) fn current_poll(&self, now: Instant) -> Option<(u64, u64)> {
        // Acquire pairs with the Release of `begin_poll`: the address is this poll's or a later's.
        match self.poll_started.load(Ordering::Acquire) {
            0 => None,
            started => {
                Some((self.polling.load(Ordering::Relaxed), now.as_nanos().saturating_sub(started)))
            }
        }
    }

    /// Raises the estimate to the age of a poll that has not ended. The owner does the same when
    /// the poll ends, so a store of the owner's that overwrites this loses nothing.
    pub(crate) fn raise_estimate_if_stuck(&self, now: Instant) {
        if let Some((_, age)) = self.current_poll(now)
            && age > nanos(WORTH_A_WAKE)
        {
            self.estimate.fetch_max(age, Ordering::Relaxed);
        }
    }

    fn stuck(&self, now: Instant) -> bool {
        self.current_poll(now).is_some_and(|(_, age)| age > nanos(WORTH_A_WAKE))
    }

    /// Whether timers are due that their owner cannot come to.
    pub(crate) fn timers_stuck(&self, now: Instant) -> bool {
        due(&self.timers, now) && self.stuck(now)
    }

    /// Whether what waits here is worth waking somebody for.
    pub(crate) fn needs_help(&self, now: Instant) -> bool {
        self.estimate().worth_a_wake(self.queue.len())
            || self.queue.next_has_aged(now)
            || self.timers_stuck(now)
    }
}

/// Whether the first of these timers has come.
#[inline]
pub(crate) fn due(timers: &TimerQueue, now: Instant) -> bool {
    // Where there is none, it is one that never comes: one comparison for both.
    timers.next().unwrap_or(Instant::FAR_FUTURE) <= now
}

#[cfg(all(test, not(heist_loom)))]
pub(crate) mod tests {
    use super::*;
    use crate::park::Idle;

    /// The shared part of a runtime with one worker and one shard, on which nothing runs.
    pub(crate) fn of_one_worker(clock: Clock) -> Shared {
        of_workers(clock, 1)
    }

    /// The shared part of a runtime with one shard, on which nothing runs.
    pub(crate) fn of_workers(clock: Clock, workers: usize) -> Shared {
        let queues = (0..workers).map(|_| crate::queue::queue().1).collect();
        let timers = Arc::new(TimerQueue::new(None));
        let runtime = Arc::new(RuntimeContext::new(clock, timers));
        Shared::new(Idle::new(), runtime, queues, 1, MonitorShared::new().unwrap())
    }
}
