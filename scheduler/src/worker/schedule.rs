//! Where a task goes that became runnable.

use std::sync::Arc;

use async_task::ScheduleInfo;

use crate::task::Task;
use crate::worker::context::Pushed;
use crate::worker::current;
use crate::worker::shared::Shared;

/// Queues a task of the worker pool; the schedule function of its cell.
pub(crate) fn schedule(task: Task, info: ScheduleInfo) {
    // A task of this thread's own runtime stays here: no shared line is touched.
    if let Some(task) = push_here(task, info.woken_while_running) {
        schedule_from_outside(task);
    }
}

/// Queues a task that was just spawned, by a caller that holds its runtime.
///
/// As [`schedule`], but it need not count one more reference to the runtime, which threads that spawn at the
/// same time would contend for.
pub(crate) fn submit(shared: &Shared, task: Task) {
    if let Some(task) = push_here(task, false) {
        shared.inject(task);
    }
}

/// Gives a task to the current worker if it is one of the task's runtime; otherwise gives it back.
fn push_here(task: Task, yielded: bool) -> Option<Task> {
    let mut task = Some(task);
    let pushed = current::with_worker(|worker| {
        let owned =
            |task: &mut Task| task.metadata().registry().is_owned_by(worker.shared_address());
        task.take_if(owned).map(|task| worker.push(task, yielded))
    });
    // Foreign code, so after the borrow of the worker.
    match pushed.flatten() {
        Some(Pushed::Wake(shared, claim)) => {
            shared.wake_claimed(claim);
        }
        Some(Pushed::Queued) | None => {}
    }
    task
}

#[cold]
fn schedule_from_outside(task: Task) {
    // The task may be run and gone before this ends.
    let owner = Arc::clone(task.metadata().registry().owner());
    owner.schedule(task);
}
