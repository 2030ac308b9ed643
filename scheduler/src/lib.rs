//! heist's scheduler: tasks, work stealing, sleep, timers and a blocking pool. It knows no files
//! and no sockets.
//!
//! # The way of one task
//!
//! 1. [`spawn`] puts a future into a cell (`task`), enters it into a registry, and schedules it.
//! 2. Scheduling (`worker`) puts it where it will be found: on a worker, into that
//!    worker's next slot or deque (`queue`); from elsewhere, into the injector. Then a worker is
//!    woken, if the work that waits is worth it (`wake`).
//! 3. A worker's turn (`worker`) finds a task: next slot, express queue, deque, injector, another worker's deque.
//!    It runs one poll of it, with a budget ([`coop`]).
//! 4. The task waits for something that keeps its waker: a timer ([`time`]), another task, or a
//!    source of events behind [`Park`]. A call of the waker schedules the task again: step 2.
//! 5. A worker that finds nothing announces that it is idle, looks everywhere once more, and waits:
//!    on a shard of the [`Park`], from which events come as batches of wakers, or parked.
//! 6. The monitor (`monitor`) looks after workers that are stuck in a long poll, and finds out when
//!    what arrives waits too long.
//!
//! ```
//! use std::time::Duration;
//! use heist_scheduler::{Builder, Idle, spawn, time};
//!
//! let runtime = Builder::new().workers(2).start(Idle::new())?;
//! let answer = runtime.block_on(async {
//!     let slow = spawn(async {
//!         time::sleep(Duration::from_millis(1)).await;
//!         6
//!     });
//!     slow.await.unwrap() * 7
//! });
//! assert_eq!(answer, 42);
//! assert_eq!(runtime.shutdown(Duration::from_secs(5)).tasks_left, 0);
//! # Ok::<(), heist_scheduler::StartError>(())
//! ```

#![forbid(unsafe_code)]

mod blocking;
pub mod chunks;
mod clock;
mod context;
pub mod coop;
mod fair;
pub mod metrics;
mod monitor;
mod mutant;
pub mod panics;
mod park;
mod queue;
mod runtime;
mod sync;
mod task;
mod threads;
pub mod time;
mod wake;
mod wheel;
mod worker;

pub use context::{ThreadKind, ThreadScope};
pub use coop::{YieldNow, yield_now};
pub use fair::{Account, Weight};
pub use metrics::{AccountLoad, CurrentPoll, Metrics, WorkerMetrics};
pub use monitor::OverloadLevel;
pub use park::{Harvest, Idle, Park};
pub use runtime::{
    Builder, EnterGuard, Handle, PerWorker, Runtime, ShutdownReport, StartError, TaskBuilder,
    account, set_account, spawn, spawn_blocking,
};
pub use task::{AbortHandle, JoinError, JoinHandle, JoinSet};
