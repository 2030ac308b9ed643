//! The hooks of a runtime's user that run on worker threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::panics::{self, Place};

#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) start: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(super) stop: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Hooks {
    /// Runs the hook of a thread that starts, if there is one. The error is what it panicked with.
    pub(super) fn run_start(&self) -> Option<Result<(), String>> {
        let start = self.start.as_ref()?;
        Some(catch_unwind(AssertUnwindSafe(|| start())).map_err(|payload| {
            let message = panics::message(&*payload).to_owned();
            panics::discard(payload);
            message
        }))
    }

    /// Runs the hook of a thread that ends, if there is one.
    pub(super) fn run_stop(&self) {
        if let Some(stop) = &self.stop {
            panics::contain(Place::StopHook, || stop());
        }
    }
}
