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
mod spawn_info;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_task::{Runnable, ScheduleInfo};

pub use join::{AbortHandle, JoinError, JoinHandle};
#[cfg(all(test, not(heist_loom)))]
pub(crate) use registry::NoOwner;
pub(crate) use registry::{Admission, Owner, Refusal, Refused, TaskRegistry};
pub(crate) use spawn_info::SpawnInfo;

use crate::clock::Instant;
use guard::Guarded;
use registry::Registration;

/// A task that is to be polled: whoever holds it has the sole right to run or to drop it.
pub(crate) type Task = Runnable<Meta>;

/// What the cell carries beside the future.
pub(crate) struct Meta {
    registry: Arc<TaskRegistry>,
    key: u32,
    serial: u32,
    /// The newest [`WakeStamp`]. Written by whoever queues the task, read by whoever takes it from a
    /// queue; the queue's own ordering publishes it.
    woken: AtomicU64,
}

/// When a task was woken, and by what: clock nanoseconds, the lowest bit of which is [`BY_EVENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WakeStamp(u64);

impl Meta {
    fn new(registration: &Registration, serial: u32) -> Meta {
        let registry = Arc::clone(registration.registry());
        Meta { registry, key: registration.key(), serial, woken: AtomicU64::new(0) }
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
    fn abort(&self) -> bool {
        self.registry.abort(self.key, self.serial)
    }

    /// To abort it from anywhere.
    fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(Arc::clone(&self.registry), self.key, self.serial)
    }

    /// The task's name among all tasks of its runtime: the registry's index and the key there.
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

/// Puts `future` into a cell and hands it to `schedule` for its first poll, if it was admitted.
///
/// `schedule` is a function item, so it takes no room in the cell.
pub(crate) fn launch<F, S>(
    admission: Result<Admission, Refused>,
    future: F,
    schedule: S,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    S: Fn(Task, ScheduleInfo) + Copy + Send + Sync + 'static,
{
    launch_with(admission, future, schedule, |task| {
        task.schedule();
        Ok(())
    })
}

/// As [`launch`], but for its first poll the task goes to `queue`, which may refuse and drop it.
#[inline]
pub(crate) fn launch_with<F, S>(
    admission: Result<Admission, Refused>,
    future: F,
    schedule: S,
    queue: impl FnOnce(Task) -> Result<(), Refused>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    S: Fn(Task, ScheduleInfo) + Copy + Send + Sync + 'static,
{
    let Admission { registration, serial } = match admission {
        Ok(admission) => admission,
        Err(refused) => return JoinHandle::refused(refused),
    };
    let meta = Meta::new(&registration, serial);
    let guarded = Guarded::new(future, registration);
    let (task, handle) = async_task::Builder::new()
        .metadata(meta)
        .spawn(move |_| guarded, async_task::WithInfo(schedule));
    match queue(task) {
        Ok(()) => JoinHandle::new(handle),
        Err(refused) => {
            handle.detach();
            JoinHandle::refused(refused)
        }
    }
}

/// A task without the guard that catches the panics of `future`; nothing joins it.
#[cfg(all(test, not(heist_loom)))]
pub(crate) fn unguarded<F>(admission: Result<Admission, Refused>, future: F) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let Ok(Admission { registration, serial }) = admission else {
        panic!("the test has room for it")
    };
    let meta = Meta::new(&registration, serial);
    let future = async move {
        let _ticket = registration;
        future.await;
    };
    let (task, handle) = async_task::Builder::new().metadata(meta).spawn(move |_| future, drop);
    handle.detach();
    task
}

/// Set in a stamp while an event's waker woke the task.
const BY_EVENT: u64 = 1;
