//! What the cell of a task carries beside the future, and the owner that it names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_task::Runnable;

use super::registry::{Registry, Withdraw};
use crate::clock::Instant;

/// A task that is to be polled. Holding it is the sole right to run or to drop it.
pub(crate) type Task = Runnable<Meta>;

/// A registry of tasks of any pool.
pub(crate) type TaskRegistry = Registry<dyn Owner>;

/// The pool that runs the tasks of a registry: opaque here, so that tasks do not import the pools.
pub(crate) trait Owner: Withdraw + Send + Sync {
    /// Takes a task that became runnable off the threads of the pool.
    fn schedule(&self, task: Task);

    /// Runs `code` inside the runtime that this belongs to, if that still exists.
    fn run_inside(&self, code: &mut dyn FnMut());
}

/// What the cell carries beside the future.
pub(crate) struct Meta {
    registry: Arc<TaskRegistry>,
    key: u32,
    serial: u32,
    /// The newest [`WakeStamp`]. The thread that queues the task writes it, the thread that takes the
    /// task from the queue reads it. Relaxed: the queue's own ordering publishes it.
    woken: AtomicU64,
}

/// When a task was woken, and by what: clock nanoseconds, the lowest bit of which is [`BY_EVENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WakeStamp(u64);

impl Meta {
    pub(super) fn new(registry: Arc<TaskRegistry>, key: u32, serial: u32) -> Meta {
        Meta { registry, key, serial, woken: AtomicU64::new(0) }
    }

    pub(crate) fn registry(&self) -> &Arc<TaskRegistry> {
        &self.registry
    }

    pub(crate) fn key(&self) -> u32 {
        self.key
    }

    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }

    /// Whether it is the task of that key and serial.
    pub(crate) fn is(&self, key: u32, serial: u32) -> bool {
        (self.key, self.serial) == (key, serial)
    }

    /// Flags the task, to be dropped instead of polled again. False if it has ended.
    pub(super) fn abort(&self) -> bool {
        self.registry.abort(self.key, self.serial)
    }

    /// Identifies the task among all tasks of its runtime: the registry's index and the key there.
    pub(crate) fn address(&self) -> u64 {
        (u64::from(self.registry.index()) << 32) | u64::from(self.key)
    }

    pub(crate) fn woken(&self) -> WakeStamp {
        WakeStamp(self.woken.load(Ordering::Relaxed))
    }

    pub(crate) fn stamp_wake(&self, stamp: WakeStamp) {
        self.woken.store(stamp.0, Ordering::Relaxed);
    }
}

impl WakeStamp {
    pub(crate) fn new(now: Instant, by_event: bool) -> WakeStamp {
        WakeStamp(now.as_nanos() & !BY_EVENT | u64::from(by_event))
    }

    /// When, to two nanoseconds.
    pub(crate) fn at(self) -> Instant {
        Instant::from_nanos(self.0 & !BY_EVENT)
    }

    /// Whether an event from outside woke the task, and not another task, a timer or a thread.
    pub(crate) fn by_event(self) -> bool {
        self.0 & BY_EVENT != 0
    }
}

/// Set in a stamp while an event's waker woke the task.
const BY_EVENT: u64 = 1;

/// Owns the registries of tests, which have no pool.
#[cfg(test)]
pub(crate) struct NoOwner;

#[cfg(test)]
impl Withdraw for NoOwner {}

#[cfg(test)]
impl Owner for NoOwner {
    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn run_inside(&self, code: &mut dyn FnMut()) {
        code();
    }
}
