//! Putting a future into a cell.

use std::future::Future;
use std::sync::Arc;

use async_task::ScheduleInfo;

use super::cell::{Meta, Task};
use super::guard::Guarded;
use super::join::JoinHandle;
use super::refused::Refused;
use super::registration::Admission;

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
    let admission = match admission {
        Ok(admission) => admission,
        Err(refused) => return JoinHandle::refused(refused),
    };
    let meta = meta(&admission);
    let Admission { registration, .. } = admission;
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

fn meta(admission: &Admission) -> Meta {
    let Admission { registration, serial, account } = admission;
    Meta::new(Arc::clone(registration.registry()), registration.key(), *serial, *account)
}

/// A task without the guard that catches the panics of `future`; nothing joins it.
#[cfg(all(test, not(heist_loom)))]
pub(crate) fn unguarded<F>(admission: Result<Admission, Refused>, future: F) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let Ok(admission) = admission else { panic!("the test has room for it") };
    let meta = meta(&admission);
    let Admission { registration, .. } = admission;
    let future = async move {
        let _registration = registration;
        future.await;
    };
    let (task, handle) = async_task::Builder::new().metadata(meta).spawn(move |_| future, drop);
    handle.detach();
    task
}
