//! A running scheduler: starting it, the handle to it, and its orderly end.

mod block_on;
mod builder;
mod core_guard;
mod core_slot;
mod current_thread;
mod handle;
mod hooks;
mod join_set;
#[cfg(all(test, heist_loom))]
mod loom;
mod per_worker;
mod shutdown;
mod snapshot;
mod spawn;
mod start_error;

use std::future::Future;
use std::time::Duration;

pub use builder::Builder;
pub use handle::{EnterGuard, Handle};
pub use per_worker::PerWorker;
pub use shutdown::ShutdownReport;
pub use spawn::{TaskBuilder, account, set_account, spawn, spawn_blocking};
pub use start_error::StartError;

use crate::context;
use crate::panics;
use crate::task::JoinHandle;

/// A running scheduler with its threads; made by [`Builder`].
///
/// Dropping it shuts it down, waiting up to ten seconds. Dropped on one of its own threads it
/// begins the shutdown and does not wait, since it would wait for itself. Neither does it wait on a
/// worker of another runtime, where it would hold up that one's tasks; as it is a mistake, this is
/// logged as an error.
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    /// It was shut down explicitly; its drop has nothing left to do.
    ended: bool,
}

impl Runtime {
    pub(crate) fn new(handle: Handle) -> Self {
        Runtime { handle, ended: false }
    }

    /// The handle to give to others.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// See [`Handle::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// See [`Handle::block_on`].
    ///
    /// # Panics
    /// On a worker thread, where it would stop every task of that worker.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// Ends the runtime: refuses new tasks, drops every future that is not being polled, and joins
    /// every thread. A poll under way is not interrupted, but none of its waits resumes, so that it
    /// ends at the next one and its future is dropped, too; a thread in
    /// [`block_on`](Handle::block_on) panics there. After `timeout` what is left is reported and
    /// left to itself.
    ///
    /// Futures are dropped on the calling thread and on the workers, inside the runtime; a destructor
    /// is not interrupted. What it spawns is refused.
    ///
    /// On one of the runtime's own threads it does not wait, as if `timeout` were zero.
    #[must_use = "the report says whether something was left"]
    pub fn shutdown(mut self, timeout: Duration) -> ShutdownReport {
        self.ended = true;
        self.handle.shutdown(timeout)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let elsewhere = context::on_worker() && !self.handle.is_on_own_thread();
        if elsewhere {
            panics::log(|| {
                tracing::error!(
                    "a runtime was dropped inside a task of another one, and is not waited for: call \
                     `shutdown` or drop it in `spawn_blocking`, or off the workers"
                );
            });
        }
        let timeout = if elsewhere { Duration::ZERO } else { DROP_TIMEOUT };
        let report = self.handle.shutdown(timeout);
        if report.threads_left > 0 && !elsewhere {
            panics::log(|| tracing::warn!(?report, "runtime dropped while something still ran"));
        }
    }
}

/// How long a dropped runtime waits for its threads.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);
