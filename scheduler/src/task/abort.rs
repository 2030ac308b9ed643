//! A handle to abort a task.

use std::fmt;
use std::sync::Arc;

use super::cell::{Meta, TaskRegistry};

/// Aborts a task from anywhere; it does not keep the task's output alive.
#[derive(Clone)]
pub struct AbortHandle {
    /// `None` for a task that was refused, or was joined before.
    task: Option<TaskName>,
}

/// A task among all that its registry ever has.
#[derive(Clone)]
struct TaskName {
    registry: Arc<TaskRegistry>,
    key: u32,
    serial: u32,
}

impl AbortHandle {
    pub(super) fn of(meta: &Meta) -> AbortHandle {
        let registry = Arc::clone(meta.registry());
        AbortHandle { task: Some(TaskName { registry, key: meta.key(), serial: meta.serial() }) }
    }

    /// Of a task that does not live.
    pub(super) fn of_none() -> AbortHandle {
        AbortHandle { task: None }
    }

    /// Asks for the task to be dropped instead of polled again; false if it has already ended.
    #[allow(clippy::must_use_candidate)]
    pub fn abort(&self) -> bool {
        let Some(TaskName { registry, key, serial }) = &self.task else { return false };
        registry.abort(*key, *serial)
    }

    /// Whether the task has ended: finished, panicked, dropped or refused. Its output may still be on the
    /// way to its [`JoinHandle`](crate::JoinHandle).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let Some(TaskName { registry, key, serial }) = &self.task else { return true };
        !registry.contains(*key, *serial)
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.task.as_ref().map(|task| task.key);
        f.debug_struct("AbortHandle").field("key", &key).finish_non_exhaustive()
    }
}
