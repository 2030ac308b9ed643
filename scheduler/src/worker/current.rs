//! The worker that the current thread is, as the upper layers know it.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::context::{self, Context};
use crate::worker::context::WorkerContext;

thread_local! {
    // Never dropped, so that no look has to ask whether it was: each scope puts back what it replaced.
    static WORKER: ManuallyDrop<RefCell<Option<Rc<WorkerContext>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// The current thread is a worker until this is dropped.
#[must_use = "the worker is left when this is dropped"]
pub(crate) struct WorkerScope {
    outer: Option<Rc<WorkerContext>>,
    _context: context::Scope,
}

/// Makes the current thread a worker.
pub(crate) fn enter(worker: &Rc<WorkerContext>) -> WorkerScope {
    let _context = context::enter(Context::Worker(Rc::clone(&worker.poll)));
    let outer = WORKER.with(|current| current.replace(Some(Rc::clone(worker))));
    WorkerScope { outer, _context }
}

/// What `look` finds in the worker that this thread is; `None` off the workers, and while the worker's
/// thread is inside another runtime.
///
/// `look` runs no foreign code, which might enter or leave a runtime meanwhile.
#[inline]
pub(crate) fn with_worker<R>(look: impl FnOnce(&WorkerContext) -> R) -> Option<R> {
    if !context::is_worker() {
        return None;
    }
    WORKER.with(|current| current.borrow().as_deref().map(look))
}

impl Drop for WorkerScope {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let left = WORKER.with(|current| current.replace(outer));
        // The last reference to the runtime may go with it, and foreign code with that: not under the
        // borrow.
        drop(left);
    }
}
