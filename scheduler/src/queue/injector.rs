//! The queue of tasks that were woken off the workers.

use crossbeam_deque::Worker as Deque;

use super::steal::until_decided;
use crate::clock::Instant;
use crate::sync::Injector as Tasks;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::task::{Task, WakeStamp};

/// A FIFO queue that any thread pushes to and any worker takes from.
pub(crate) struct Injector {
    tasks: Tasks<Task>,
    /// The task that waits longest was woken at this [`WakeStamp`] or later; meaningful
    /// while the queue is not empty. A thread that pushes to an empty queue writes it, and one that
    /// takes from the queue. Relaxed: a statistic, which may be out by what two threads do at the same
    /// moment.
    oldest: AtomicU64,
}

impl Injector {
    pub(crate) fn new() -> Injector {
        Injector { tasks: Tasks::new(), oldest: AtomicU64::new(0) }
    }

    /// Queues a task that was woken `now`.
    pub(crate) fn push(&self, task: Task, now: Instant) {
        if self.tasks.is_empty() {
            // Relaxed, as all accesses: see the field.
            self.oldest.store(WakeStamp::at(now).to_bits(), Ordering::Relaxed);
        }
        self.tasks.push(task);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// How long the oldest task has waited, at most, in nanoseconds.
    pub(crate) fn age(&self, now: Instant) -> u64 {
        match self.is_empty() {
            true => 0,
            false => WakeStamp::from_bits(self.oldest.load(Ordering::Relaxed)).nanos_until(now),
        }
    }

    /// Takes the oldest task, and up to `limit - 1` more into `deque`.
    pub(crate) fn take(&self, deque: &Deque<Task>, limit: usize) -> Option<Task> {
        let task = until_decided(|| self.tasks.steal_batch_with_limit_and_pop(deque, limit))?;
        self.oldest.store(task.metadata().woken().to_bits(), Ordering::Relaxed);
        Some(task)
    }

    /// Drops all tasks, also those that a drop pushes.
    pub(crate) fn drop_all(&self) {
        while let Some(task) = until_decided(|| self.tasks.steal()) {
            drop(task);
        }
    }
}
