//! A runtime without threads of its own: its tasks run on a thread that is in `block_on`.

use std::sync::Arc;

use super::core_slot::CoreSlot;
use crate::queue::LocalQueue;
use crate::task::TaskRegistry;
use crate::worker::main_task::MainTask;
use crate::worker::shared::Shared;

/// What a current-thread runtime has in place of threads.
pub(crate) struct CurrentThread {
    pub(super) slot: CoreSlot<Core>,
    /// Of the main task alone, which counts neither as spawned nor as alive.
    registry: Arc<TaskRegistry>,
    pub(super) seed: u64,
}

/// What passes from one thread that runs the tasks to the next.
pub(super) struct Core {
    pub(super) queue: LocalQueue,
    pub(super) main: MainTask,
}

impl CurrentThread {
    /// The registry of the main task gets the number `index`.
    pub(super) fn new(shared: &Arc<Shared>, queue: LocalQueue, index: u32, seed: u64) -> Self {
        let registry = TaskRegistry::new(index, 1, Arc::clone(shared) as _);
        let core = Core { queue, main: MainTask::new(&registry) };
        CurrentThread { slot: CoreSlot::new(core), registry, seed }
    }

    /// The registry of the main task, if that is its number.
    pub(super) fn registry(&self, index: usize) -> Option<&Arc<TaskRegistry>> {
        (self.registry.index() as usize == index).then_some(&self.registry)
    }
}
