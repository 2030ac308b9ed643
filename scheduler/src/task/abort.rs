//! A handle to abort a task.

use std::fmt;
use std::sync::Arc;

use super::cell::{Meta, TaskRegistry};

/// Aborts a task from anywhere; it does not keep the task's output alive.
#[derive(Clone)]
pub struct AbortHandle {
    registry: Arc<TaskRegistry>,
    key: u32,
    serial: u32,
}

impl AbortHandle {
    pub(super) fn of(meta: &Meta) -> AbortHandle {
        let registry = Arc::clone(meta.registry());
        AbortHandle { registry, key: meta.key(), serial: meta.serial() }
    }

    /// Asks for the task to be dropped instead of polled again; false if it has already ended.
    #[allow(clippy::must_use_candidate)]
    pub fn abort(&self) -> bool {
        self.registry.abort(self.key, self.serial)
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("key", &self.key).finish_non_exhaustive()
    }
}
