//! Taking from a queue that other threads take from too.

use crossbeam_deque::Steal;

use crate::task::Task;

/// Repeats `attempt` until it gives a task or finds the queue empty.
pub(super) fn until_decided(mut attempt: impl FnMut() -> Steal<Task>) -> Option<Task> {
    loop {
        match attempt() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            // Another thread won the race: it made progress, so this ends.
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
