//! Spawning: from anywhere inside a runtime, with or without a name.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use super::handle::{Handle, Inner, outside_of_a_runtime};
use crate::blocking::Kind;
use crate::context;
use crate::fair::Account;
use crate::task::{self, Admission, JoinHandle, Refused, SpawnInfo, TaskRegistry};
use crate::worker::context::WorkerContext;
use crate::worker::current;
use crate::worker::schedule::schedule;

/// Spawns a task onto the current runtime.
///
/// The task starts on its own; the handle is only needed to wait for it. At the bound on live
/// tasks, or while the runtime shuts down, the handle yields an error that
/// [says so](crate::JoinError::is_refused).
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    launch_here(SpawnInfo { name: None, location: Location::caller() }, None, future)
}

/// What the time of the running task is charged to. Off the workers, an account that no other has.
#[must_use]
pub fn account() -> Account {
    context::account().unwrap_or_default()
}

/// Charges the time of the running task to `account` from now on. No effect off the workers.
///
/// For a task that learns whom it works for: from the token of a request, say. What it spawns from then on has the
/// same account. A poll that ends on another account than it began costs the task one more.
///
/// ```
/// use heist::task::{Account, account, set_account};
///
/// # let runtime = heist::Builder::new().workers(1).start()?;
/// # runtime.block_on(async {
/// let task = heist::spawn(async {
///     set_account(Account::shared("tenant 7"));
///     heist::spawn(async { account() }).await.unwrap()
/// });
/// assert_eq!(task.await.unwrap(), Account::shared("tenant 7"));
/// # });
/// # Ok::<(), heist::StartError>(())
/// ```
pub fn set_account(account: Account) {
    current::with_worker(|worker| worker.change_account(account));
}

/// Runs `work` on the blocking pool, where it may block or compute for as long as it likes.
///
/// When every blocking thread is busy it waits in a bounded queue; when that is full it is
/// [refused](crate::JoinError::is_refused), as it is where the system gives no thread at all. Aborted
/// while it waits, it leaves the queue and is dropped at once, by the caller of
/// [`abort`](JoinHandle::abort). Once it has started, aborting it has no effect.
///
/// # Panics
/// Outside a runtime.
///
/// ```
/// # let runtime = heist::Builder::new().workers(1).start()?;
/// runtime.block_on(async {
///     let sum = heist::spawn_blocking(|| (1..=10).sum::<u32>());
///     assert_eq!(sum.await.unwrap(), 55);
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
#[track_caller]
pub fn spawn_blocking<T, W>(work: W) -> JoinHandle<T>
where
    W: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Handle::current().spawn_blocking(work)
}

/// Spawns a task with a name, which logs and reports show, or on an account.
///
/// ```
/// # let runtime = heist::Builder::new().workers(1).start()?;
/// runtime.block_on(async {
///     let task = heist::task::Builder::new().name("adder").spawn(async { 1 + 1 });
///     assert_eq!(task.await.unwrap(), 2);
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TaskBuilder {
    name: Option<Arc<str>>,
    account: Option<Account>,
}

impl TaskBuilder {
    /// A task without a name.
    #[must_use]
    pub fn new() -> Self {
        TaskBuilder::default()
    }

    /// Names the task. One `Arc<str>` can name many tasks without being copied.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Charges the time of the task to `account`, and not to that of the task that spawns it. Blocking work and
    /// look-ups are charged to none.
    #[must_use]
    pub fn account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// Spawns onto the current runtime, like [`spawn`].
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let account = self.account;
        launch_here(self.info(), account, future)
    }

    /// Spawns onto the runtime of `handle`.
    #[track_caller]
    pub fn spawn_on<F>(self, handle: &Handle, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let account = self.account;
        handle.launch(self.info(), account, future)
    }

    /// Runs `work` on the current runtime's blocking pool, like [`spawn_blocking`].
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<T, W>(self, work: W) -> JoinHandle<T>
    where
        W: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Handle::current().launch_blocking(Kind::Work, &self.info(), work)
    }

    /// Runs `work`, which looks up a name or the like, on the current runtime's threads for look-ups.
    ///
    /// They have bounds of their own, [`lookup_threads`](crate::Builder::lookup_threads) and
    /// [`lookup_queue`](crate::Builder::lookup_queue): look-ups that take long hold up only each
    /// other, and other blocking work does not hold them up. At the bound the look-up is
    /// [refused](crate::JoinError::is_refused). Aborted while it waits, it leaves the queue and is
    /// dropped at once.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_lookup<T, W>(self, work: W) -> JoinHandle<T>
    where
        W: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Handle::current().launch_blocking(Kind::Lookup, &self.info(), work)
    }

    #[track_caller]
    fn info(self) -> SpawnInfo {
        SpawnInfo { name: self.name, location: Location::caller() }
    }
}

/// Launches a task on the current runtime.
#[track_caller]
fn launch_here<F>(info: SpawnInfo, account: Option<Account>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let Some(admission) = admit_here(&info, account) else { outside_of_a_runtime() };
    task::launch(admission, future, schedule)
}

/// Takes a place for a task that is spawned here. Without a clone of the runtime's handle, whose
/// counter all workers share.
#[inline]
fn admit_here(info: &SpawnInfo, account: Option<Account>) -> Option<Result<Admission, Refused>> {
    let admit = |worker: &WorkerContext| {
        let account = account.unwrap_or_else(|| worker.account());
        TaskRegistry::admit(worker.registry(), info, account)
    };
    // A match, as the answer is large and a combinator moves it once more.
    match current::with_worker(admit) {
        Some(admission) => Some(admission),
        None => admit_off_the_workers(info, account),
    }
}

#[cold]
fn admit_off_the_workers(
    info: &SpawnInfo,
    account: Option<Account>,
) -> Option<Result<Admission, Refused>> {
    let account = account.unwrap_or_default();
    context::with_runtime(|runtime| {
        runtime.downcast_ref::<Inner>().map(|inner| inner.admit_foreign(info, account))
    })
    .flatten()
}
