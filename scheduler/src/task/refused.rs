//! A task that was not taken, as its join handle holds it.

use std::sync::Arc;

use super::cell::TaskRegistry;
use super::refusal::Refusal;
use super::spawn_info::SpawnInfo;
use crate::panics;

/// A task that was not taken. Boxed, as it is rare and a join handle is small.
pub(crate) struct Refused(Box<RefusedTask>);

struct RefusedTask {
    refusal: Refusal,
    info: SpawnInfo,
    registry: Arc<TaskRegistry>,
}

impl Refused {
    /// Counts the task as refused if a bound is the reason.
    #[cold]
    pub(crate) fn new(registry: &Arc<TaskRegistry>, info: &SpawnInfo, refusal: Refusal) -> Refused {
        if matches!(refusal, Refusal::Full { .. }) {
            registry.count_refused();
        }
        let (info, registry) = (info.clone(), Arc::clone(registry));
        Refused(Box::new(RefusedTask { refusal, info, registry }))
    }

    pub(crate) fn refusal(&self) -> Refusal {
        self.0.refusal
    }

    /// The handle is dropped unread, so only the log can tell of the refusal. A line is written
    /// whenever the number of such tasks has doubled: a flood of tasks causes no flood of lines.
    pub(crate) fn detach(self) {
        let RefusedTask { refusal, info, registry } = *self.0;
        if refusal == Refusal::ShuttingDown {
            return;
        }
        let count = registry.count_refused_detached();
        if count.is_power_of_two() {
            panics::log(|| {
                tracing::error!(
                    task = info.name(),
                    spawned_at = %info.location,
                    reason = %refusal,
                    count,
                    "a task was refused and nothing waits for it: raise the bound, or await its \
                     handle and handle the error"
                );
            });
        }
    }
}
