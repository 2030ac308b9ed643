//! The settings of a runtime, and its start.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use heist_reactor::{Config, Queue};
use heist_scheduler::time::Clock;

use super::Runtime;
#[cfg(feature = "tokio")]
use super::beside_tokio::BesideTokio;
use super::driver::Driver;
use super::env::{self, EnvError};

/// Settings of a [`Runtime`].
///
/// # Environment
///
/// These variables take precedence over the settings of the program, so that a deployment can be
/// tuned without a new build: `HEIST_WORKERS`, `HEIST_SHARDS`, `HEIST_BLOCKING_THREADS` and
/// `HEIST_BUDGET`. Each is a whole number from 1 on; any other value is an error of
/// [`start`](Builder::start).
///
/// ```
/// use heist::Builder;
///
/// let runtime = Builder::new().workers(2).thread_name("game").start()?;
/// assert_eq!(runtime.block_on(async { 6 * 7 }), 42);
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing runs until `start`"]
pub struct Builder {
    scheduler: heist_scheduler::Builder,
    workers: usize,
    current_thread: bool,
    shards: Option<usize>,
    max_sources: usize,
    ignores_environment: bool,
}

impl Builder {
    /// One worker for each CPU that the process may use, and one shard for each 8 workers that can
    /// run at once.
    pub fn new() -> Builder {
        Builder {
            scheduler: heist_scheduler::Builder::new(),
            workers: num_cpus::get(),
            current_thread: false,
            shards: None,
            max_sources: Config::default().max_sources,
            ignores_environment: false,
        }
    }

    /// Sets the number of worker threads.
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = workers;
        self
    }

    /// Runs all tasks on the thread that is in [`block_on`](Runtime::block_on), and starts no thread, but
    /// for blocking work that needs one. For tests and tools: a runtime is started and ended within
    /// microseconds.
    ///
    /// Everything else is the same: tasks, sockets, timers, servers, blocking work. What differs:
    ///
    /// * Tasks, timers and sockets make no progress while no thread is in `block_on`. Of several threads
    ///   that are, one runs the tasks, and another one takes over when it leaves. The future that was given
    ///   to `block_on` and the tasks have their turns in one order.
    /// * It has one worker and one shard, whatever [`workers`](Builder::workers),
    ///   [`shards`](Builder::shards) and the environment say. The hooks for worker threads are not called.
    /// * It has no monitor: [`Handle::is_overloaded`](heist_scheduler::Handle::is_overloaded) is always
    ///   false, and a poll that blocks or computes for long holds up all others.
    ///
    /// ```
    /// use heist::Builder;
    /// use heist::net::{TcpListener, TcpStream};
    ///
    /// let runtime = Builder::new().current_thread().start()?;
    /// let greeting = runtime.block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let address = listener.local_addr()?;
    ///     drop(heist::spawn(async move {
    ///         let (mut stream, _peer) = listener.accept().await?;
    ///         stream.write_all(b"hello").await
    ///     }));
    ///     let mut greeting = [0; 5];
    ///     TcpStream::connect(address).await?.read_exact(&mut greeting).await?;
    ///     Ok::<_, std::io::Error>(greeting)
    /// })?;
    /// assert_eq!(&greeting, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn current_thread(mut self) -> Builder {
        self.current_thread = true;
        self.map(|scheduler| scheduler.current_thread())
    }

    /// Sets the number of kernel queues that share the sources; 1 is best for up to about 8
    /// workers. There can be no more shards than workers.
    pub fn shards(mut self, shards: usize) -> Builder {
        self.shards = Some(shards);
        self
    }

    /// Sets the number of sockets that may be open at once; 1,048,576 if not set.
    pub fn max_sources(mut self, sources: usize) -> Builder {
        self.max_sources = sources;
        self
    }

    /// Sets the prefix of thread names; `heist` if not set.
    pub fn thread_name(self, name: impl Into<String>) -> Builder {
        self.map(|scheduler| scheduler.thread_name(name))
    }

    /// Sets the seed of the scheduler's random choices; a random one if not set.
    pub fn seed(self, seed: u64) -> Builder {
        self.map(|scheduler| scheduler.seed(seed))
    }

    /// Sets the number of operations in one poll after which a task has to yield.
    pub fn budget(self, operations: u32) -> Builder {
        self.map(|scheduler| scheduler.budget(operations))
    }

    /// Sets the number of live tasks that one worker may have spawned, and all other threads
    /// together; further ones are refused.
    pub fn max_tasks(self, tasks: usize) -> Builder {
        self.map(|scheduler| scheduler.max_tasks(tasks))
    }

    /// Sets the greatest number of threads for blocking work.
    pub fn blocking_threads(self, threads: usize) -> Builder {
        self.map(|scheduler| scheduler.blocking_threads(threads))
    }

    /// Sets the length of the queue of blocking work; further work is refused.
    pub fn blocking_queue(self, length: usize) -> Builder {
        self.map(|scheduler| scheduler.blocking_queue(length))
    }

    /// Sets the greatest number of threads that look up names, besides those for other blocking
    /// work; 32 if not set.
    pub fn lookup_threads(self, threads: usize) -> Builder {
        self.map(|scheduler| scheduler.lookup_threads(threads))
    }

    /// Sets the length of the queue of look-ups of names; 4,096 if not set. Further ones fail with
    /// [`ConnectError::NotFound`](crate::ConnectError::NotFound).
    pub fn lookup_queue(self, length: usize) -> Builder {
        self.map(|scheduler| scheduler.lookup_queue(length))
    }

    /// Sets the longest time that arriving work may wait for a worker before
    /// [`Handle::is_overloaded`](heist_scheduler::Handle::is_overloaded) returns true; 50 ms if not
    /// set. `Duration::MAX` turns the check off.
    pub fn overload_target(self, target: Duration) -> Builder {
        self.map(|scheduler| scheduler.overload_target(target))
    }

    /// Sets the time that the wait has to stay above the [target](Builder::overload_target); 100 ms
    /// if not set.
    pub fn overload_interval(self, interval: Duration) -> Builder {
        self.map(|scheduler| scheduler.overload_interval(interval))
    }

    /// Calls `hook` on each worker thread before it runs its first task.
    pub fn on_thread_start(self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.map(|scheduler| scheduler.on_thread_start(hook))
    }

    /// Calls `hook` on each worker thread after it ran its last task.
    pub fn on_thread_stop(self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.map(|scheduler| scheduler.on_thread_stop(hook))
    }

    /// Sets the clock of the timers, for tests on virtual time.
    pub fn clock(self, clock: Clock) -> Builder {
        self.map(|scheduler| scheduler.clock(clock))
    }

    /// Runs everything inside a runtime of tokio (feature `tokio`), so that crates which need one work in
    /// tasks: `reqwest`, `sqlx` with its tokio runtime, `async-nats`, the time-outs of `tower-http`, the
    /// transport of `tonic`, and `tokio::{fs, net, process, signal, spawn, time}`.
    ///
    /// | code | runs on | tokio's context |
    /// |---|---|---|
    /// | tasks of [`spawn`](heist_scheduler::spawn), handlers, protocols | heist's workers | as in a task of tokio |
    /// | the future of [`block_on`](Runtime::block_on) | the calling thread | as in tokio's `block_on` |
    /// | [`spawn_blocking`](heist_scheduler::spawn_blocking), look-ups of names | heist's blocking threads | as in tokio's `spawn_blocking` |
    /// | hooks of threads; destructors of tasks that are aborted or shut down, on any thread | that thread | entered |
    /// | `tokio::spawn`, `tokio::task::spawn_blocking`, what crates spawn so | tokio's threads | tokio's own; not inside heist's runtime, for which a [`Handle`](heist_scheduler::Handle) is to be kept |
    /// | readiness of tokio's sockets, tokio's timers | tokio's threads, which wake the task on heist's | |
    ///
    /// A task that waits for tokio is woken from another thread. Over tokio's sockets two tasks of heist
    /// took three times the CPU of two of tokio, so use heist's sockets and timers where traffic is heavy.
    /// There a poll of a task costs about 75 instructions more than without tokio. tokio's budget of
    /// operations holds for each poll, so a task that always finds tokio's sockets or channels ready
    /// yields to others. `tokio::task::spawn_local` and `tokio::task::id` work in tasks of tokio only;
    /// `block_in_place` blocks the worker, since its tasks do not move to another thread.
    /// [`Handle::enter`](heist_scheduler::Handle::enter) enters heist's runtime alone.
    ///
    /// Something has to drive the tokio runtime: a multi-thread one drives itself, a current-thread one
    /// is driven inside its own `block_on` only. Few threads suffice, as heist's workers run the tasks.
    ///
    /// Shut heist down first, then tokio. In the reverse order nothing hangs: what waits for tokio's
    /// sockets gets an error, a wait for its timers panics and ends that task, and all else goes on.
    ///
    /// # Panics
    ///
    /// In a runtime that is started so, `block_on` panics where tokio's does: in a task of tokio.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let tokio = tokio::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .enable_all()
    ///     .build()?;
    /// let runtime = heist::Builder::new().beside_tokio(tokio.handle().clone()).start()?;
    /// let answer = runtime.block_on(async {
    ///     heist::spawn(async {
    ///         tokio::time::sleep(Duration::from_millis(1)).await;
    ///         42
    ///     })
    ///     .await
    /// })?;
    /// assert_eq!(answer, 42);
    /// drop(runtime);
    /// drop(tokio);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tokio")]
    pub fn beside_tokio(self, tokio: tokio::runtime::Handle) -> Builder {
        self.map(|scheduler| scheduler.thread_scope(Arc::new(BesideTokio::new(tokio))))
    }

    /// Ignores the environment: for a second runtime in a program, which the variables are not
    /// meant for.
    pub fn ignore_environment(mut self) -> Builder {
        self.ignores_environment = true;
        self
    }

    /// Starts the threads, if it has any. Binds no address and opens no socket.
    ///
    /// # Errors
    ///
    /// [`StartError`]: an invalid environment variable, no event queue from the system, a setting
    /// out of its bounds, no thread.
    pub fn start(self) -> Result<Runtime, StartError> {
        let tuned = if self.ignores_environment { self } else { self.tuned(env::read)? };
        let Builder { scheduler, workers, current_thread, shards, max_sources, .. } = tuned;
        let shards = match current_thread {
            true => 1,
            false => shards.unwrap_or_else(|| shards_for(workers, num_cpus::get())),
        };
        let queue = Queue::new(Config { shards, max_sources }).map_err(StartError::Queue)?;
        let scheduler = scheduler.workers(workers).start(Arc::new(Driver::new(queue)))?;
        Ok(Runtime { scheduler })
    }

    /// Applies the environment, from which `read` reads a variable.
    fn tuned(mut self, read: impl Fn(&'static str) -> env::Value) -> Result<Builder, EnvError> {
        if let Some(workers) = read("HEIST_WORKERS")? {
            self.workers = env::size(workers);
        }
        if let Some(shards) = read("HEIST_SHARDS")? {
            self.shards = Some(env::size(shards));
        }
        if let Some(threads) = read("HEIST_BLOCKING_THREADS")? {
            self = self.blocking_threads(env::size(threads));
        }
        if let Some(operations) = read("HEIST_BUDGET")? {
            self = self.budget(operations.get());
        }
        Ok(self)
    }

    fn map(
        self,
        set: impl FnOnce(heist_scheduler::Builder) -> heist_scheduler::Builder,
    ) -> Builder {
        Builder { scheduler: set(self.scheduler), ..self }
    }
}

impl Runtime {
    /// Starts a runtime with a worker for each CPU; see [`Builder`] for other settings.
    ///
    /// # Errors
    ///
    /// As [`Builder::start`].
    pub fn new() -> Result<Runtime, StartError> {
        Builder::new().start()
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

/// The error of a runtime that did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A variable of the environment has an invalid value.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The system refused an event queue: most likely the process has no descriptors left.
    #[error("could not make the event queue: {0}")]
    Queue(#[source] io::Error),
    /// The scheduler did not start.
    #[error(transparent)]
    Scheduler(#[from] heist_scheduler::StartError),
}

impl From<StartError> for io::Error {
    /// With the kind of what the system said; `InvalidInput` for a variable that has an invalid value. The
    /// error itself is kept as the source.
    fn from(error: StartError) -> io::Error {
        let kind = match error {
            StartError::Env(_) => io::ErrorKind::InvalidInput,
            StartError::Queue(ref source) => source.kind(),
            StartError::Scheduler(error) => return error.into(),
        };
        io::Error::new(kind, error)
    }
}

/// The number of shards if none is set. Only workers with a CPU contend in the kernel, and each
/// further shard costs a listener that a shared one would spare.
fn shards_for(workers: usize, cpus: usize) -> usize {
    workers.min(cpus).div_ceil(WORKERS_A_SHARD)
}

/// More running threads than this contend in one kernel queue.
const WORKERS_A_SHARD: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_takes_precedence_over_the_program() {
        let read = |variable: &'static str| match variable {
            "HEIST_WORKERS" => env::parse(variable, Some("3".into())),
            "HEIST_SHARDS" => env::parse(variable, Some("2".into())),
            _ => Ok(None),
        };
        let builder = Builder::new().workers(1).shards(1).tuned(read).unwrap();
        assert_eq!((builder.workers, builder.shards), (3, Some(2)));
    }

    /// With two shards 16 workers on 2 CPUs switched twice as often as with one.
    #[test]
    fn workers_without_a_cpu_get_no_shard_of_their_own() {
        let shards = [(1, 2), (16, 2), (8, 64), (9, 64), (64, 64), (64, 9)];
        assert_eq!(shards.map(|(workers, cpus)| shards_for(workers, cpus)), [1, 1, 1, 2, 8, 2]);
    }

    #[test]
    fn invalid_environment_is_an_error_not_a_default() {
        let read = |variable| env::parse(variable, Some("many".into()));
        let error = Builder::new().tuned(read).unwrap_err();
        assert_eq!((error.variable, error.value.as_str()), ("HEIST_WORKERS", "many"));
    }
}
