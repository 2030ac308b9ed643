//! The thread in `block_on` that runs the tasks of a current-thread runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::current_thread::{Core, CurrentThread};
use super::handle::Handle;
use crate::sync::atomic::Ordering;
use crate::sync::fence;
use crate::worker::current::WorkerScope;
use crate::worker::main_task::{MainTask, MainTurn};
use crate::worker::shared::Drainer;
use crate::worker::{Worker, WorkerParts};

/// The current thread runs the tasks until this is dropped, which puts the core back into its slot.
pub(super) struct CoreGuard<'a> {
    handle: &'a Handle,
    current_thread: &'a CurrentThread,
    /// Left when the core is back in its slot.
    _drainer: Drainer<'a>,
    /// `None` once it is dropped.
    running: Option<Running>,
}

struct Running {
    worker: Worker,
    scope: WorkerScope,
    main: MainTask,
}

impl Handle {
    /// Makes the current thread the one that runs the tasks, if this is a current-thread runtime, it does
    /// not close, and no other thread runs them.
    pub(super) fn take_core(&self) -> Option<CoreGuard<'_>> {
        let current_thread = self.0.current_thread.as_ref()?;
        if self.is_shutting_down() {
            return None;
        }
        let Core { queue, main } = current_thread.slot.take()?;
        main.set_due();
        let parts = WorkerParts {
            shared: Arc::clone(self.shared()),
            registry: Arc::clone(self.worker_registry(0)),
            index: 0,
            queue,
            seed: current_thread.seed,
        };
        let worker = Worker::new(self.to_ref(), parts);
        let scope = worker.enter_thread();
        let running = Some(Running { worker, scope, main });
        let _drainer = self.shared().drainer();
        Some(CoreGuard { handle: self, current_thread, _drainer, running })
    }
}

impl CoreGuard<'_> {
    /// Polls `future` if it is its turn, and otherwise runs tasks or waits for some.
    pub(super) fn run_beside<F: Future>(&mut self, future: Pin<&mut F>) -> MainTurn<F::Output> {
        let one_by_one = self.handle.context().thread_scope.is_some();
        match &mut self.running {
            Some(Running { worker, main, .. }) => worker.run_beside(main, future, one_by_one),
            None => unreachable!("it is taken by the drop alone"),
        }
    }
}

impl Drop for CoreGuard<'_> {
    fn drop(&mut self) {
        let Some(Running { worker, scope, main }) = self.running.take() else { return };
        let queue = worker.leave_thread(scope);
        // Pairs with the fence in `begin_closing`: either this sees that the runtime closes, or the
        // shutdown finds what was queued here, and the waker of each task that waits.
        fence(Ordering::SeqCst);
        if self.handle.is_shutting_down() {
            // A task that was taken from the queue before the shutdown woke it has begun to wait since. Where
            // workers have threads, the shutdown looks once more when they have ended.
            self.handle.drop_tasks();
        }
        self.current_thread.slot.put(Core { queue, main }, &self.handle.0.blocked);
    }
}
