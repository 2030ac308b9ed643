//! A running scheduler: its handle, and its orderly end.

pub(crate) mod builder;
pub(crate) mod per_worker;
mod snapshot;
pub(crate) mod spawn;

use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::blocking::{Blocking, Kind};
use crate::clock::Clock;
use crate::context::{self, Context, Opaque, Refusals, RuntimeContext, RuntimeRef};
use crate::metrics::Metrics;
use crate::panics::{self, Place};
use crate::park::Park;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::task::{self, Admission, JoinHandle, Refusal, Refused, SpawnInfo, TaskRegistry};
use crate::threads::tracker::{BlockedThreads, ThreadTracker};
use crate::wake::policy::Trigger;
use crate::wheel::TimerQueue;
use crate::worker::current;
use crate::worker::schedule::schedule;
use crate::worker::shared::Shared;

/// A running scheduler with its threads; made by [`Builder`](crate::Builder).
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

/// What a runtime is made of.
pub(crate) struct Parts {
    pub(crate) context: Arc<RuntimeContext>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) registries: Box<[Arc<TaskRegistry>]>,
    pub(crate) blocking: Arc<Blocking>,
    pub(crate) blocking_registry: Arc<TaskRegistry>,
    pub(crate) threads: Arc<ThreadTracker>,
}

/// A reference to a runtime, to spawn onto it and to look into it. Cheap to clone; it does not keep
/// the runtime from shutting down, after which what it spawns is refused.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) context: Arc<RuntimeContext>,
    pub(crate) shared: Arc<Shared>,
    /// One a worker, and the rest for tasks spawned off the workers.
    pub(crate) registries: Box<[Arc<TaskRegistry>]>,
    /// Goes up with each task that is spawned off the workers: whose turn it is among their registries.
    pub(crate) foreign_turn: CachePadded<AtomicUsize>,
    pub(crate) blocking: Arc<Blocking>,
    pub(crate) blocking_registry: Arc<TaskRegistry>,
    pub(crate) threads: Arc<ThreadTracker>,
    /// Threads in `block_on`, which a shutdown wakes.
    blocked: BlockedThreads,
}

/// The current thread is inside a runtime until this is dropped; see [`Handle::enter`].
#[must_use = "the runtime is left when this is dropped"]
pub struct EnterGuard {
    _scope: context::Scope,
}

/// What a shutdown found and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks that had not finished and were dropped, and blocking work that had not begun. Exact, as
    /// is the next one: a task that lived when the shutdown began has finished or is in one of them.
    pub tasks_dropped: usize,
    /// Tasks still being polled, or blocking work still running, when the deadline came.
    pub tasks_left: usize,
    /// Threads that had not ended when the deadline came. They end when their polls do.
    pub threads_left: usize,
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
        let elsewhere = context::on_worker() && !self.handle.0.threads.contains_current();
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

impl Handle {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { context, shared, registries, blocking, blocking_registry, threads } = parts;
        let inner = Arc::new(Inner {
            context,
            shared,
            registries,
            foreign_turn: CachePadded::new(AtomicUsize::new(0)),
            blocking,
            blocking_registry,
            threads,
            blocked: BlockedThreads::default(),
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

    /// Spawns a task onto this runtime; see [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.launch(SpawnInfo { name: None, location: Location::caller() }, future)
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

    /// Enters the runtime for code of heist's own.
    fn scope(&self) -> context::Scope {
        context::enter(Context::Entered(self.to_ref()))
    }

    /// Runs `future` on the current thread until it is done, inside this runtime.
    ///
    /// # Panics
    /// * On a worker thread, where it would stop every task of that worker: await the future, or
    ///   spawn it.
    /// * When the runtime shuts down and the future waits in it for a timer, a socket or a task, as
    ///   no wait of heist's resumes there. A future that waits for something else goes on.
    /// * It passes on a panic of the future.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !context::on_worker(),
            "block_on was called on a worker thread, which would stop every task that runs there; \
             await the future, spawn it, or move the call into spawn_blocking"
        );
        let _scope = self.scope();
        let refusals = Refusals::watch(&self.0.context);
        let thread = self.0.blocked.add();
        let waker = Waker::from(Arc::clone(thread.parker()));
        let mut cx = TaskContext::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            assert!(
                !refusals.take(),
                "the runtime was shut down while `block_on` waited in it for a timer, a socket or a \
                 task: end the future before the runtime, or do not shut it down"
            );
            thread.parker().park(self.until_shared_timer());
            self.fire_shared_timers();
        }
    }

    /// How long until a timer is due that was armed off the workers.
    fn until_shared_timer(&self) -> Option<Duration> {
        let next = self.shared_timers().next()?;
        Some(next.duration_since(self.clock().now()))
    }

    /// Fires timers armed off the workers. Workers do so too; whoever blocks on a future does not
    /// depend on them, so that its time-outs work while every worker is stuck.
    fn fire_shared_timers(&self) {
        let mut wakers = Vec::new();
        self.shared_timers().advance(self.clock().now(), TIMERS_AT_ONCE, &mut wakers);
        panics::wake_all(wakers);
    }

    /// What the runtime does now and has done so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.0)
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
    /// # let runtime = heist_scheduler::Builder::new().start(heist_scheduler::Idle::new())?;
    /// let handle = runtime.handle();
    /// let answer = if handle.is_overloaded() { "503 Service Unavailable" } else { "200 OK" };
    /// assert_eq!(answer, "200 OK");
    /// # Ok::<(), heist_scheduler::StartError>(())
    /// ```
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        self.0.shared.is_overloaded()
    }

    /// How many worker threads this runtime has.
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

    pub(crate) fn shared_timers(&self) -> &Arc<TimerQueue> {
        &self.0.context.shared_timers
    }

    pub(crate) fn launch<F>(&self, info: SpawnInfo, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        task::launch(self.admit(&info), future, schedule)
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

    /// Takes a place for a task that the current thread spawns.
    fn admit(&self, info: &SpawnInfo) -> Result<Admission, Refused> {
        match context::worker_index_in(&self.0.context) {
            Some(worker) => TaskRegistry::admit(self.worker_registry(worker), info),
            None => self.0.admit_foreign(info),
        }
    }

    pub(crate) fn worker_registry(&self, worker: usize) -> &Arc<TaskRegistry> {
        &self.0.registries[worker]
    }

    fn all_registries(&self) -> impl Iterator<Item = &Arc<TaskRegistry>> {
        self.0.registries.iter().chain([&self.0.blocking_registry])
    }

    fn shutdown(&self, timeout: Duration) -> ShutdownReport {
        let timeout = if self.0.threads.contains_current() { Duration::ZERO } else { timeout };
        let started = std::time::Instant::now();
        let left = || timeout.saturating_sub(started.elapsed());
        let _inside = (!context::is_inside(&self.0.context)).then(|| self.scope());

        // Refuse new tasks first, so that the ones to be dropped only get fewer.
        self.all_registries().for_each(|registry| registry.close());
        self.0.context.begin_closing();
        self.end_waits();
        // Before threads are waited for, since a thread may wait for what a task owns.
        self.drop_tasks();
        let threads_left = self.0.threads.join(left());
        // A poll that was under way may have woken others since, or begun to wait.
        self.drop_tasks();
        for registry in self.all_registries() {
            registry.wait_empty(left());
        }
        let mut report = ShutdownReport { threads_left, ..ShutdownReport::default() };
        for (dropped, left) in self.all_registries().map(|registry| registry.dropped_and_left()) {
            report.tasks_dropped += dropped;
            report.tasks_left += left;
        }
        report
    }

    /// Makes every waiting thread return.
    fn end_waits(&self) {
        let shared = &self.0.shared;
        let mut wakers = panics::contain(Place::Park, || shared.park.close()).unwrap_or_default();
        for worker in &shared.workers {
            wakers.extend(worker.timers.close());
        }
        wakers.extend(shared.context.shared_timers.close());
        shared.notify_if_idle(Trigger::Shutdown);
        shared.monitor.interrupt();
        self.0.blocking.close();
        // These are woken though none of their waits resumes: a worker drops its task, a thread in
        // `block_on` panics, and a task of another runtime learns that the source is closed.
        panics::wake_all(wakers);
        self.0.blocked.unpark_all();
    }

    /// Drops every task that is not being polled.
    fn drop_tasks(&self) {
        // Each is queued by its wake, and what is queued is dropped.
        self.all_registries().for_each(|registry| registry.wake_all());
        self.0.shared.drop_queued();
    }
}

impl Inner {
    /// Takes a place for a task that is spawned off the workers: in one registry after the other, since
    /// who spawns would always meet at the lock of a single one the workers that end what was spawned
    /// before.
    fn admit_foreign(&self, info: &SpawnInfo) -> Result<Admission, Refused> {
        let registries = &self.registries[self.shared.workers.len()..];
        let turn = self.foreign_turn.fetch_add(1, Ordering::Relaxed);
        let (later, next) = registries.split_at(turn % registries.len());
        for registry in next.iter().chain(later) {
            match TaskRegistry::try_admit(registry, info) {
                Ok(admission) => return Ok(admission),
                Err(Refusal::Full { .. }) => {}
                Err(refusal) => return Err(Refused::new(registry, info, refusal)),
            }
        }
        let bound = registries.iter().map(|registry| registry.bound()).sum();
        Err(Refused::new(&registries[0], info, Refusal::Full { bound }))
    }
}

/// Launches a task on the current runtime.
#[track_caller]
pub(crate) fn launch_here<F>(info: SpawnInfo, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let Some(admission) = admit_here(&info) else { outside_of_a_runtime() };
    task::launch(admission, future, schedule)
}

/// Takes a place for a task that is spawned here. Without a clone of the runtime's handle, whose
/// count all workers share.
#[inline]
fn admit_here(info: &SpawnInfo) -> Option<Result<Admission, Refused>> {
    current::with_worker(|worker| TaskRegistry::admit(worker.registry(), info)).or_else(|| {
        context::with_runtime(|runtime| {
            runtime.downcast_ref::<Inner>().map(|inner| inner.admit_foreign(info))
        })
        .flatten()
    })
}

#[cold]
#[track_caller]
fn outside_of_a_runtime() -> ! {
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

/// Timers that a blocked thread fires before it looks at its own future again.
const TIMERS_AT_ONCE: usize = 64;

/// How long a dropped runtime waits for its threads.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);
