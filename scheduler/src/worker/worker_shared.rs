//! What other workers and the monitor see of a worker.

use std::sync::{Arc, OnceLock};

use crate::clock::{Instant, nanos};
use crate::fair::Attained;
use crate::metrics::{WorkerCounters, WorkerHistograms};
use crate::queue::SharedQueue;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::task::WakeStamp;
use crate::threads::Thread;
use crate::wake::estimate::{Estimate, WORTH_A_WAKE};
use crate::wheel::TimerQueue;

/// The part of a worker that other workers and the monitor see; written by its owner alone unless it
/// says otherwise.
///
/// | atomic | ordering | pairs with |
/// |--------|----------|------------|
/// | `estimate` | Relaxed | Nothing: a number that decisions are made by; a late one makes a decision late. |
/// | `poll_started` | Release; loads Acquire | Each other: a thread that sees the start sees the address of that poll in `polling`, or of a later one. |
/// | `polling` | Relaxed | Ordered by `poll_started`. |
pub(crate) struct WorkerShared {
    pub(crate) queue: SharedQueue,
    pub(crate) timers: Arc<TimerQueue>,
    /// `h` in nanoseconds; the monitor raises it while the owner is stuck.
    estimate: AtomicU64,
    /// When the poll under way began, in clock nanoseconds; 0 between polls.
    poll_started: AtomicU64,
    /// The address of the task being polled; meaningful while `poll_started` is not 0.
    polling: AtomicU64,
    /// What each account attained here.
    pub(crate) attained: Attained,
    /// The owner's thread, once it runs on one.
    thread: OnceLock<Option<Thread>>,
    pub(crate) counters: WorkerCounters,
    pub(crate) histograms: WorkerHistograms,
}

impl WorkerShared {
    pub(crate) fn new(queue: SharedQueue, now: Instant) -> Self {
        let timers = Arc::new(TimerQueue::new(None));
        timers.start_at(now);
        queue.set_oldest(WakeStamp::at(now));
        WorkerShared {
            queue,
            timers,
            estimate: AtomicU64::new(Estimate::START.as_nanos()),
            poll_started: AtomicU64::new(0),
            polling: AtomicU64::new(0),
            attained: Attained::new(now),
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
        // Acquire pairs with the Release in `begin_poll`.
        match self.poll_started.load(Ordering::Acquire) {
            0 => None,
            started => {
                Some((self.polling.load(Ordering::Relaxed), now.as_nanos().saturating_sub(started)))
            }
        }
    }

    /// By the monitor: raises the estimate to the age of a poll that has not ended. The owner does the
    /// same when the poll ends, so a store of the owner's that overwrites this loses nothing.
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

    /// Whether what waits here is worth waking a worker for.
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
