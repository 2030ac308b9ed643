//! The handle to a runtime, and what it refers to.

use std::future::Future;
use std::panic::Location;
use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;

use super::current_thread::CurrentThread;
use crate::blocking::{Blocking, Kind};
use crate::clock::Clock;
use crate::context::{self, Context, Opaque, RuntimeContext, RuntimeRef};
use crate::fair::Account;
use crate::monitor::OverloadLevel;
use crate::park::Park;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::task::{self, Admission, JoinHandle, Refusal, Refused, SpawnInfo, TaskRegistry};
use crate::threads::tracker::{BlockedThreads, ThreadTracker};
use crate::worker::context::WorkerContext;
use crate::worker::current;
use crate::worker::schedule::{schedule, submit};
use crate::worker::shared::Shared;

/// What a runtime is made of.
pub(crate) struct Parts {
    pub(crate) context: Arc<RuntimeContext>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) registries: Box<[Arc<TaskRegistry>]>,
    pub(crate) blocking: Arc<Blocking>,
    pub(crate) blocking_registry: Arc<TaskRegistry>,
    pub(crate) threads: Arc<ThreadTracker>,
    pub(crate) current_thread: Option<CurrentThread>,
}

/// A reference to a runtime, to spawn onto it and to look into it. Cheap to clone; it does not keep
/// the runtime from shutting down, after which what it spawns is refused.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) context: Arc<RuntimeContext>,
    pub(crate) shared: Arc<Shared>,
    /// One a worker, and the rest for tasks spawned off the workers.
    pub(crate) registries: Box<[Arc<TaskRegistry>]>,
    /// Incremented for each task that is spawned off the workers: selects the registry for the next one.
    pub(crate) foreign_turn: CachePadded<AtomicUsize>,
    pub(crate) blocking: Arc<Blocking>,
    pub(crate) blocking_registry: Arc<TaskRegistry>,
    pub(crate) threads: Arc<ThreadTracker>,
    /// Threads in `block_on`, which a shutdown wakes.
    pub(super) blocked: BlockedThreads,
    /// Of a runtime whose tasks run on one of those.
    pub(super) current_thread: Option<CurrentThread>,
}

/// The current thread is inside a runtime until this is dropped; see [`Handle::enter`].
#[must_use = "the runtime is left when this is dropped"]
pub struct EnterGuard {
    _scope: context::Scope,
}

impl Handle {
    pub(crate) fn new(parts: Parts) -> Self {
        let inner = Arc::new(Inner {
            context: parts.context,
            shared: parts.shared,
            registries: parts.registries,
            foreign_turn: CachePadded::new(AtomicUsize::new(0)),
            blocking: parts.blocking,
            blocking_registry: parts.blocking_registry,
            threads: parts.threads,
            blocked: BlockedThreads::default(),
            current_thread: parts.current_thread,
        });
        let weak: Weak<Inner> = Arc::downgrade(&inner);
        inner.context.set_runtime(weak);
        Handle(inner)
    }

    /// The runtime that the current thread is inside: in a task, in blocking work, in
    /// [`block_on`](Handle::block_on), or under an [`enter`](Handle::enter) guard.
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    #[track_caller]
    pub fn current() -> Handle {
        match Handle::try_current() {
            Some(handle) => handle,
            None => outside_of_a_runtime(),
        }
    }

    /// Like [`current`](Handle::current), but `None` outside a runtime.
    #[must_use]
    pub fn try_current() -> Option<Handle> {
        let inner = context::with_runtime(Arc::clone)?.downcast::<Inner>().ok()?;
        Some(Handle(inner))
    }

    /// Puts the current thread inside this runtime until the guard is dropped.
    ///
    /// Once the runtime has begun to shut down, what waits there for one of its timers, sockets or
    /// tasks is pending for ever. `block_on` turns that into a panic; an executor of a user's does
    /// not.
    ///
    /// # Panics
    /// The guard's drop, if a younger guard is still alive: drop them in the reverse order of their
    /// making.
    pub fn enter(&self) -> EnterGuard {
        EnterGuard { _scope: context::enter_guarded(Context::Entered(self.to_ref())) }
    }

    /// Enters the runtime for code of heist's own.
    pub(super) fn scope(&self) -> context::Scope {
        context::enter(Context::Entered(self.to_ref()))
    }

    /// Spawns a task onto this runtime; see [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.launch(SpawnInfo { name: None, location: Location::caller() }, None, future)
    }

    /// Runs `work` on this runtime's blocking pool; see [`spawn_blocking`](crate::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<T, W>(&self, work: W) -> JoinHandle<T>
    where
        W: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let info = SpawnInfo { name: None, location: Location::caller() };
        self.launch_blocking(Kind::Work, &info, work)
    }

    /// The source of events this runtime was started with.
    #[must_use]
    pub fn park(&self) -> &Arc<dyn Park> {
        &self.0.shared.park
    }

    /// The clock this runtime goes by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.context.clock
    }

    /// Whether the runtime has begun to shut down.
    #[must_use]
    #[inline]
    pub fn is_shutting_down(&self) -> bool {
        self.0.context.is_closing()
    }

    /// Whether new work had better be refused: every worker is busy, and what arrives has waited
    /// longer than the target for a whole interval, see
    /// [`Builder::overload_target`](crate::Builder::overload_target).
    ///
    /// False again when the monitor, which looks every 10 ms or more often, finds a delay within
    /// the target, and whenever a worker has nothing to do. It costs a load, or two where the
    /// answer is yes, so it may be asked for every request.
    ///
    /// ```
    /// # let runtime = heist::Builder::new().start()?;
    /// let handle = runtime.handle();
    /// let answer = if handle.is_overloaded() { "503 Service Unavailable" } else { "200 OK" };
    /// assert_eq!(answer, "200 OK");
    /// # Ok::<(), heist::StartError>(())
    /// ```
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        self.overload_level() > OverloadLevel::None
    }

    /// How far the runtime is [overloaded](Handle::is_overloaded), by which a server decides which work it
    /// refuses: that of the accounts that use most while overload has begun, and all once it stands.
    ///
    /// It stands when three intervals have passed in which no delay was within the target. It costs as
    /// much as `is_overloaded`.
    #[must_use]
    pub fn overload_level(&self) -> OverloadLevel {
        self.0.shared.overload_level()
    }

    /// Whether `account` used at least as much of the workers lately as the average account, over the time that
    /// was used and divided by the weights. Half of what was used is forgotten in a second.
    ///
    /// So there is one that is heavy wherever something was used, and of alike accounts about half are. It
    /// is found by samples, one in a millisecond of a worker, and costs a lock.
    #[must_use]
    pub fn is_heavy(&self, account: Account) -> bool {
        self.0.shared.usage.is_heavy(account, self.0.context.clock.now())
    }

    /// How many workers this runtime has: its worker threads, or 1 for the thread that runs the tasks of a
    /// [current-thread](crate::Builder::current_thread) runtime.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.0.shared.workers.len()
    }

    pub(crate) fn threads(&self) -> &Arc<ThreadTracker> {
        &self.0.threads
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(crate) fn context(&self) -> &RuntimeContext {
        &self.0.context
    }

    /// What the lower layers hold of the runtime.
    pub(crate) fn to_ref(&self) -> RuntimeRef {
        let runtime: Arc<Opaque> = Arc::clone(&self.0) as _;
        RuntimeRef::new(Arc::clone(&self.0.context), runtime)
    }

    pub(crate) fn launch<F>(
        &self,
        info: SpawnInfo,
        account: Option<Account>,
        future: F,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        task::launch_with(self.admit(&info, account), future, schedule, |task| {
            submit(&self.0.shared, task);
            Ok(())
        })
    }

    pub(crate) fn launch_blocking<T, W>(
        &self,
        kind: Kind,
        info: &SpawnInfo,
        work: W,
    ) -> JoinHandle<T>
    where
        W: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0.blocking.launch(kind, &self.0.blocking_registry, info, work)
    }

    /// Whether the calling thread is one that the runtime started, or one that runs its tasks.
    pub(super) fn is_on_own_thread(&self) -> bool {
        self.0.threads.contains_current() || context::on_worker_of(&self.0.context)
    }

    /// Takes a place for a task that the current thread spawns.
    fn admit(&self, info: &SpawnInfo, account: Option<Account>) -> Result<Admission, Refused> {
        let inherited = || current::with_worker(WorkerContext::account).unwrap_or_default();
        let account = account.unwrap_or_else(inherited);
        match context::worker_index_in(&self.0.context) {
            Some(worker) => TaskRegistry::admit(self.worker_registry(worker), info, account),
            None => self.0.admit_foreign(info, account),
        }
    }

    pub(super) fn worker_registry(&self, worker: usize) -> &Arc<TaskRegistry> {
        &self.0.registries[worker]
    }
}

impl Inner {
    /// Takes a place for a task that is spawned off the workers: in one registry after the other. At the
    /// lock of a single one the spawning threads would meet the workers that end the tasks spawned
    /// before.
    pub(super) fn admit_foreign(
        &self,
        info: &SpawnInfo,
        account: Account,
    ) -> Result<Admission, Refused> {
        let registries = &self.registries[self.shared.workers.len()..];
        // Relaxed: it only spreads the spawns; nothing is published by it.
        let turn = self.foreign_turn.fetch_add(1, Ordering::Relaxed);
        let (later, next) = registries.split_at(turn % registries.len());
        for registry in next.iter().chain(later) {
            match TaskRegistry::try_admit(registry, info, account) {
                Ok(admission) => return Ok(admission),
                Err(Refusal::Full { .. }) => {}
                Err(refusal) => return Err(Refused::new(registry, info, refusal)),
            }
        }
        let bound = registries.iter().map(|registry| registry.bound()).sum();
        Err(Refused::new(&registries[0], info, Refusal::Full { bound }))
    }
}

#[cold]
#[track_caller]
pub(super) fn outside_of_a_runtime() -> ! {
    panic!(
        "this needs a heist runtime: call it in a task, inside `block_on`, or while a guard of \
         `Handle::enter` lives"
    )
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("workers", &self.workers()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for EnterGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnterGuard")
    }
}
