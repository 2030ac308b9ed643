//! Tasks: a future in an `async-task` cell, a place in a registry, and a handle to join it.
//!
//! `async-task` keeps the states of a task (idle, queued, running, running and notified) in one
//! atomic word and sees to it that a task is queued at most once and run by one thread at a time.
//! What it leaves to us:
//!
//! * a panic in a poll, or while a future or an output is dropped, must end that task alone:
//!   `guard`;
//! * whoever shuts down or aborts must find every live task: `registry`;
//! * where a woken task goes is its owner's business: `launch` takes the function.

mod guard;
mod join;
#[cfg(all(test, heist_loom))]
mod loom;
mod registry;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_task::{Runnable, ScheduleInfo};

pub use crate::spawn::Builder;
pub use join::{AbortHandle, JoinError, JoinHandle};
pub(crate) use registry::{Birth, Home, Refusal};

use crate::time::Instant;
use guard::Guarded;

/// A task that is to be polled: whoever holds it has the sole right to run or to drop it.
pub(crate) type Task = Runnable<Meta>;

/// What the cell carries beside the future.
pub(crate) struct Meta {
    home: Arc<Home>,
    key: u32,
    /// Time of the newest wake, in clock nanoseconds. Written by whoever queues the task, read by
    /// whoever takes it from a queue; the queue's own ordering publishes it.
    woken_at: AtomicU64,
}

impl Meta {
    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The task's name among all tasks of its runtime: the home's index and the key there.
    pub(crate) fn address(&self) -> u64 {
        (u64::from(self.home.index()) << 32) | u64::from(self.key)
    }

    pub(crate) fn woken_at(&self) -> Instant {
        Instant::from_nanos(self.woken_at.load(Ordering::Relaxed))
    }

    pub(crate) fn stamp_wake(&self, now: Instant) {
        self.woken_at.store(now.as_nanos(), Ordering::Relaxed);
    }
}

/// Puts `future` into a cell and hands it to `schedule` for its first poll.
///
/// `schedule` is a function item, so it takes no room in the cell.
pub(crate) fn launch<F, S>(
    home: &Arc<Home>,
    birth: Birth,
    future: F,
    schedule: S,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    S: Fn(Task, ScheduleInfo) + Copy + Send + Sync + 'static,
{
    let ticket = match Home::admit(home, birth) {
        Ok(ticket) => ticket,
        Err(refusal) => return JoinHandle::refused(refusal),
    };
    let (key, serial) = (ticket.key(), ticket.serial());
    let meta = Meta { home: Arc::clone(home), key, woken_at: AtomicU64::new(0) };
    let guarded = Guarded::new(future, ticket);
    let (task, handle) = async_task::Builder::new()
        .metadata(meta)
        .spawn(move |_| guarded, async_task::WithInfo(schedule));
    home.attach(key, task.waker());
    task.schedule();
    JoinHandle::new(handle.fallible(), AbortHandle::new(Arc::clone(home), key, serial))
}
