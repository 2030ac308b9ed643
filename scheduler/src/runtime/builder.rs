//! Making a runtime: settings, their bounds and defaults, and starting the threads.

use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use super::Runtime;
use super::current_thread::CurrentThread;
use super::handle::{Handle, Parts};
use super::hooks::Hooks;
use super::start_error::StartError;
use crate::blocking::{Blocking, Bounds};
use crate::clock::Clock;
use crate::context::{self, Context, OptionalScope, RuntimeContext, ThreadKind, ThreadScope};
use crate::coop::BUDGET;
use crate::monitor::{CoDel, Monitor, MonitorShared, OVERLOAD_INTERVAL, OVERLOAD_TARGET};
use crate::panics;
use crate::park::Park;
use crate::queue::{self, LocalQueue};
use crate::task::TaskRegistry;
use crate::threads;
use crate::threads::tracker::ThreadTracker;
use crate::wake::MAX_WORKERS;
use crate::wheel::TimerQueue;
use crate::worker::shared::Shared;
use crate::worker::{Worker, WorkerParts};

/// Settings of a [`Runtime`].
///
/// ```
/// use heist_scheduler::{Builder, Idle};
///
/// let runtime = Builder::new().workers(2).thread_name("engine").start(Idle::new())?;
/// let sum = runtime.block_on(async { heist_scheduler::spawn(async { 1 + 2 }).await.unwrap() });
/// assert_eq!(sum, 3);
/// # Ok::<(), heist_scheduler::StartError>(())
/// ```
#[must_use = "nothing runs until `start`"]
pub struct Builder {
    workers: usize,
    current_thread: bool,
    thread_name: String,
    seed: u64,
    budget: u32,
    max_tasks: usize,
    blocking: Bounds,
    lookups: Bounds,
    /// `None` for the default, which depends on the clock.
    overload_target: Option<Duration>,
    overload_interval: Duration,
    hooks: Hooks,
    thread_scope: OptionalScope,
    clock: Clock,
}

impl Builder {
    /// As many workers as there are CPUs for this process, and a bound on everything.
    pub fn new() -> Self {
        Builder {
            workers: num_cpus::get(),
            current_thread: false,
            thread_name: "heist".to_owned(),
            seed: fastrand::u64(..),
            budget: BUDGET,
            max_tasks: 1 << 22,
            blocking: Bounds { threads: 64, queued: 4096 },
            lookups: Bounds { threads: 32, queued: 4096 },
            overload_target: None,
            overload_interval: OVERLOAD_INTERVAL,
            hooks: Hooks::default(),
            thread_scope: OptionalScope::default(),
            clock: Clock::system(),
        }
    }

    /// Worker threads; default: the CPUs this process may use.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Runs all tasks on the thread that is in [`block_on`](Runtime::block_on), and starts no thread, but
    /// for blocking work that needs one. For tests and tools: a runtime is started and ended within
    /// microseconds.
    ///
    /// * Tasks, timers and events make no progress while no thread is in `block_on`. The future that was
    ///   given to it and the tasks have their turns in one order.
    /// * It has one worker, whatever [`workers`](Builder::workers) says, and the hooks for worker threads
    ///   are not called.
    /// * It has no monitor. [`Handle::is_overloaded`] is always false, a poll that blocks or computes for
    ///   long holds up all others, and no wake that a [`Park`] loses by a panic is made good.
    ///
    /// ```
    /// use heist_scheduler::{Builder, Idle, spawn};
    /// use std::thread;
    ///
    /// let runtime = Builder::new().current_thread().start(Idle::new())?;
    /// let ran_on = runtime.block_on(async { spawn(async { thread::current().id() }).await });
    /// assert_eq!(ran_on.unwrap(), thread::current().id());
    /// # Ok::<(), heist_scheduler::StartError>(())
    /// ```
    pub fn current_thread(mut self) -> Self {
        self.current_thread = true;
        self
    }

    /// What thread names begin with; default `heist`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// Seed of the random choices (which worker to steal from first); default: a random one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Operations a task may do in one poll before it has to yield; default 128.
    pub fn budget(mut self, operations: u32) -> Self {
        self.budget = operations;
        self
    }

    /// Live tasks that a worker may have spawned, and all other threads together, beyond which
    /// spawning is refused; default 4,194,304.
    pub fn max_tasks(mut self, tasks: usize) -> Self {
        self.max_tasks = tasks;
        self
    }

    /// Threads for blocking work, at most; default 64.
    pub fn blocking_threads(mut self, threads: usize) -> Self {
        self.blocking.threads = threads;
        self
    }

    /// Blocking work that may wait for a thread, beyond which it is refused; default 4,096.
    pub fn blocking_queue(mut self, length: usize) -> Self {
        self.blocking.queued = length;
        self
    }

    /// Threads for look-ups of names, at most, beside those for other blocking work; default 32.
    pub fn lookup_threads(mut self, threads: usize) -> Self {
        self.lookups.threads = threads;
        self
    }

    /// Look-ups of names that may wait for a thread, beyond which they are refused; default 4,096.
    pub fn lookup_queue(mut self, length: usize) -> Self {
        self.lookups.queued = length;
        self
    }

    /// The longest time that what arrives may wait for a worker; default 50 ms. When every worker is
    /// busy and the wait has stayed above it for [`overload_interval`](Builder::overload_interval),
    /// [`Handle::is_overloaded`] says so, by which a server sheds load.
    ///
    /// It should be well above the longest handler, since that is what one event waits behind
    /// another, and above 10 ms, which is how often it is looked at. `Duration::MAX` turns it off, and is
    /// the default on a [clock that is moved by hand](Clock::manual): a move past a busy worker would
    /// look like a long wait.
    pub fn overload_target(mut self, target: Duration) -> Self {
        self.overload_target = Some(target);
        self
    }

    /// How long the wait has to stay above [`overload_target`](Builder::overload_target), so that a
    /// burst is no overload; default 100 ms.
    pub fn overload_interval(mut self, interval: Duration) -> Self {
        self.overload_interval = interval;
        self
    }

    /// Called on each worker thread before it runs its first task, and before
    /// [`start`](Builder::start) returns. A panic in it is the error of `start`.
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.start = Some(Arc::new(hook));
        self
    }

    /// Called on each worker thread after it dropped its last task. A panic in it is counted and
    /// logged.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.stop = Some(Arc::new(hook));
        self
    }

    /// Another library's scope around what workers, blocking threads and threads in `block_on` run;
    /// default: none.
    pub fn thread_scope(mut self, scope: Arc<dyn ThreadScope>) -> Self {
        self.thread_scope = OptionalScope(Some(scope));
        self
    }

    /// The clock for timers and estimates; default: the system's monotonic one.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the workers and the monitor, which wait for events in `park`.
    ///
    /// # Errors
    /// When a setting is out of its bounds, there is no thread or timer to be had, or the hook of
    /// [`on_thread_start`](Builder::on_thread_start) panics.
    pub fn start(mut self, park: Arc<dyn Park>) -> Result<Runtime, StartError> {
        if self.current_thread {
            self.workers = 1;
        }
        self.check(&*park)?;
        if self.current_thread {
            return Ok(self.start_current_thread(park));
        }
        let (local_queues, shared_queues) = (0..self.workers).map(|_| queue::queue()).unzip();
        let monitor = MonitorShared::new().map_err(StartError::Timer)?;
        let shared = self.shared(park, shared_queues, monitor);
        let runtime = Runtime::new(Handle::new(self.parts(&shared)));
        // From here on an early return drops the runtime, which ends what was started.
        self.start_threads(runtime.handle(), local_queues)?;
        Ok(runtime)
    }

    /// There is nothing to start: the tasks wait for a thread in `block_on`.
    fn start_current_thread(&self, park: Arc<dyn Park>) -> Runtime {
        let (local_queue, shared_queue) = queue::queue();
        let shared = self.shared(park, vec![shared_queue], MonitorShared::without_monitor());
        let parts = self.parts(&shared);
        let index = parts.blocking_registry.index() + 1;
        let current_thread = CurrentThread::new(&shared, local_queue, index, self.seed);
        Runtime::new(Handle::new(Parts { current_thread: Some(current_thread), ..parts }))
    }

    fn check(&self, park: &dyn Park) -> Result<(), StartError> {
        let bounded = |setting, value, min, max| match value {
            value if (min..=max).contains(&value) => Ok(()),
            value => Err(StartError::OutOfBounds { setting, value, min, max }),
        };
        // Every shard needs a listener while nothing runs.
        bounded("workers", self.workers, park.shards(), MAX_WORKERS)?;
        bounded("budget", self.budget as usize, 1, u32::MAX as usize)?;
        bounded("max_tasks", self.max_tasks, 1, u32::MAX as usize)?;
        bounded("blocking_threads", self.blocking.threads, 1, MAX_WORKERS)?;
        bounded("blocking_queue", self.blocking.queued, 1, u32::MAX as usize)?;
        bounded("lookup_threads", self.lookups.threads, 1, MAX_WORKERS)?;
        bounded("lookup_queue", self.lookups.queued, 1, u32::MAX as usize)
    }

    fn shared(
        &self,
        park: Arc<dyn Park>,
        queues: Vec<queue::SharedQueue>,
        monitor: MonitorShared,
    ) -> Arc<Shared> {
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
            let shared = Weak::clone(shared);
            let hook = Box::new(move |deadline| {
                if let Some(shared) = shared.upgrade() {
                    shared.shared_timer_armed(deadline);
                }
            });
            let shared_timers = Arc::new(TimerQueue::new(Some(hook)));
            let context = RuntimeContext::new(self.clock.clone(), shared_timers)
                .with_thread_scope(self.thread_scope.clone());
            Shared::new(park, Arc::new(context), queues, self.budget, monitor)
        });
        // Before the first timer is armed.
        let sleepers: Weak<Shared> = Arc::downgrade(&shared);
        self.clock.wakes(sleepers);
        shared
    }

    fn parts(&self, shared: &Arc<Shared>) -> Parts {
        let threads = Arc::new(ThreadTracker::default());
        let (shared, context) = (Arc::clone(shared), Arc::clone(&shared.context));
        let blocking =
            Blocking::new(&context, self.blocking, self.lookups, &self.thread_name, &threads);
        // One a worker; some for all other threads, which share a bound; then the blocking pool's.
        let foreign = if self.current_thread { 1 } else { FOREIGN_REGISTRIES.min(self.max_tasks) };
        let shares = (0..foreign).map(|registry| (self.max_tasks + registry) / foreign);
        let registries: Box<[_]> = std::iter::repeat_n(self.max_tasks, self.workers)
            .chain(shares)
            .enumerate()
            .map(|(index, bound)| TaskRegistry::new(index as u32, bound, Arc::clone(&shared) as _))
            .collect();
        let blocking_registry = blocking.registry(registries.len() as u32);
        let current_thread = None;
        Parts { context, shared, registries, blocking, blocking_registry, threads, current_thread }
    }

    fn overload(&self) -> CoDel {
        let default = if self.clock.is_manual() { Duration::MAX } else { OVERLOAD_TARGET };
        CoDel::new(self.overload_target.unwrap_or(default), self.overload_interval)
    }

    fn start_threads(&self, handle: &Handle, queues: Vec<LocalQueue>) -> Result<(), StartError> {
        let (outcomes, hooks_done) = mpsc::channel();
        for (index, queue) in queues.into_iter().enumerate() {
            let (hooks, outcomes) = (self.hooks.clone(), outcomes.clone());
            let runtime = handle.to_ref();
            let parts = WorkerParts {
                shared: Arc::clone(handle.shared()),
                registry: Arc::clone(handle.worker_registry(index)),
                index,
                queue,
                seed: self.seed.wrapping_add(index as u64),
            };
            let name = format!("{}-{index}", self.thread_name);
            let own_handle = handle.clone();
            handle.start_thread(name.clone(), move || {
                let worker = Worker::new(runtime.clone(), parts);
                let mut started = None;
                let context = runtime.context();
                context.thread_scope.run(ThreadKind::Other, || started = hooks.run_start());
                if let Some(outcome) = started {
                    let outcome = outcome
                        .map_err(|message| StartError::StartHook { thread: name.clone(), message });
                    let failed = outcome.is_err();
                    // `start` may have given up and dropped the receiver.
                    let _ = outcomes.send(outcome);
                    if failed {
                        return;
                    }
                }
                drop(outcomes);
                worker.run_to_close();
                let _inside = context::enter(Context::Entered(runtime.clone()));
                own_handle.drop_tasks_left_behind();
                context.thread_scope.run(ThreadKind::Other, || hooks.run_stop());
            })?;
        }
        let monitor = Monitor::new(Arc::clone(handle.shared()), self.overload());
        let caught_panics = Arc::clone(&handle.context().caught_panics);
        handle.start_thread(format!("{}-monitor", self.thread_name), move || {
            panics::count_in(Some(caught_panics));
            monitor.run_to_close();
        })?;
        // Ends when each thread has dropped its sender.
        drop(outcomes);
        if self.hooks.start.is_some() { hooks_done.into_iter().collect() } else { Ok(()) }
    }
}

impl Handle {
    fn start_thread(
        &self,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), StartError> {
        let threads = self.threads();
        let mut guard = threads.enter();
        let thread = threads::spawn(name.clone(), move || {
            guard.begin();
            body();
            drop(guard);
        });
        threads.keep(thread.map_err(|source| StartError::Thread { name, source })?);
        Ok(())
    }
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// Registries of tasks that are spawned off the workers, at most. By one thread, or by eight, on 2 CPUs: 4
/// were better than 1, and 8 than 4.
const FOREIGN_REGISTRIES: usize = 8;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    /// Failure: on a slow machine a test that moved the clock past a busy worker was refused its requests.
    #[test]
    fn a_clock_moved_by_hand_shows_no_overload_unless_asked_to() {
        let manual = || Builder::new().clock(Clock::manual().0);
        assert_eq!(Builder::new().overload().target, OVERLOAD_TARGET);
        assert_eq!(manual().overload().target, Duration::MAX);
        assert_eq!(manual().overload_target(OVERLOAD_TARGET).overload().target, OVERLOAD_TARGET);
    }
}
