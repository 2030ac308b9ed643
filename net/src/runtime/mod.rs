//! A runtime: a scheduler joined with an event queue.

#[cfg(feature = "tokio")]
mod beside_tokio;
pub(crate) mod builder;
pub(crate) mod driver;
pub(crate) mod entry;
pub(crate) mod env;
pub(crate) mod operation;
pub(crate) mod source;
pub(crate) mod wakers;

use std::future::Future;
use std::time::Duration;

use heist_scheduler::{Handle, JoinHandle, ShutdownReport};

use self::driver::Driver;

/// Worker threads that share one event queue and run tasks with sockets and timers.
///
/// Dropping it shuts it down and waits up to ten seconds for running polls and blocking work.
///
/// ```
/// use heist::Runtime;
///
/// let runtime = Runtime::new()?;
/// let answer = runtime.block_on(async {
///     let half = heist::spawn(async { 21 });
///     2 * half.await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Debug)]
pub struct Runtime {
    scheduler: heist_scheduler::Runtime,
}

impl Runtime {
    /// A handle of the runtime: to spawn, to read metrics, to [`enter`](Handle::enter) the runtime.
    pub fn handle(&self) -> &Handle {
        self.scheduler.handle()
    }

    /// The runtime's joint of scheduler and event queue.
    pub fn driver(&self) -> &Driver {
        Driver::of(self.handle()).expect("a runtime is only built with a driver as its park")
    }

    /// Spawns a task; the handle waits for its output.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.scheduler.spawn(future)
    }

    /// Runs `work`, which may block, on a thread for blocking work; see [`Handle::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking<T, W>(&self, work: W) -> JoinHandle<T>
    where
        W: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handle().spawn_blocking(work)
    }

    /// Runs `future` on the calling thread until it is done, inside of this runtime.
    ///
    /// # Panics
    ///
    /// On a worker thread, and with a panic of the future.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.scheduler.block_on(future)
    }

    /// Ends the runtime: every wait returns, every future is dropped and every thread joined. Polls
    /// and blocking work that still run after `timeout` are reported and left running.
    #[must_use = "the report tells whether a thread was left running"]
    pub fn shutdown(self, timeout: Duration) -> ShutdownReport {
        self.scheduler.shutdown(timeout)
    }
}
