//! One blocking pool: its queue and its threads.
//!
//! Queue and counts are behind one lock, so a thread that takes a task, an abort that takes it out,
//! and a shutdown that drops it come in some order, and one of them has it. Threads are started, tasks
//! dropped and lines logged without the lock.

use std::io;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::queue::KeyedQueue;
use crate::clock::Instant;
use crate::context::{self, Context, RuntimeContext, ThreadKind};
use crate::fair::Account;
use crate::metrics::{Histogram, Scale};
use crate::panics::{self, Place};
use crate::task::{Refusal, Task};
use crate::threads;
use crate::threads::tracker::{ThreadGuard, ThreadTracker};

pub(super) struct Pool {
    runtime: Arc<RuntimeContext>,
    bounds: Bounds,
    thread_name: String,
    threads: Arc<ThreadTracker>,
    /// Holding this = the right to queue and take tasks, and to count threads.
    state: Mutex<State>,
    /// From queueing to the start. Written under the lock of `state`.
    wait: Histogram,
    changed: Condvar,
}

/// The bounds of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Threads, at most.
    pub(crate) threads: usize,
    /// Tasks that may wait for a thread.
    pub(crate) queued: usize,
}

struct State {
    queue: KeyedQueue<Task>,
    /// Threads that wait for a task, or were notified of one and have not taken the lock yet.
    idle: usize,
    /// Threads that run or are being started.
    threads: usize,
    started: u64,
    refused: u64,
    closed: bool,
}

/// What a pool does now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) threads: usize,
    pub(crate) queued: usize,
    pub(crate) refused: u64,
    pub(crate) oldest_nanos: u64,
}

/// A thread that is counted and has to be started.
#[must_use = "the thread is counted already"]
struct NewThread {
    number: u64,
    guard: ThreadGuard,
}

impl Pool {
    pub(super) fn new(
        runtime: Arc<RuntimeContext>,
        bounds: Bounds,
        thread_name: String,
        threads: Arc<ThreadTracker>,
    ) -> Arc<Self> {
        let state = State {
            queue: KeyedQueue::new(),
            idle: 0,
            threads: 0,
            started: 0,
            refused: 0,
            closed: false,
        };
        Arc::new(Pool {
            runtime,
            bounds,
            thread_name,
            threads,
            state: Mutex::new(state),
            wait: Histogram::new(Scale::Time),
            changed: Condvar::new(),
        })
    }

    /// Tasks that can run and wait at once.
    pub(super) fn capacity(&self) -> usize {
        self.bounds.threads.saturating_add(self.bounds.queued)
    }

    /// Queues a task and starts a thread for it if none is free; a task that is refused is dropped.
    pub(super) fn push(self: &Arc<Self>, task: Task) -> Result<(), Refusal> {
        let (key, serial) = (task.metadata().key(), task.metadata().serial());
        let Some(new) = self.enqueue(task)? else {
            return Ok(());
        };
        let Err(error) = self.start(new) else {
            return Ok(());
        };
        let stranded = self.count_missing_thread(&error);
        let is_own = |task: &Task| task.metadata().is(key, serial);
        if stranded.iter().any(is_own) { Err(Refusal::NoThread) } else { Ok(()) }
    }

    fn enqueue(&self, task: Task) -> Result<Option<NewThread>, Refusal> {
        task.metadata().stamp_wake(self.runtime.clock.now(), false, Account::NONE);
        let mut state = self.state.lock();
        let waiting = state.queue.len();
        let refusal = if state.closed {
            Some(Refusal::ShuttingDown)
        } else if waiting >= self.bounds.queued.saturating_add(state.idle) {
            state.refused += 1;
            Some(Refusal::Full { bound: self.bounds.queued })
        } else {
            None
        };
        if let Some(refusal) = refusal {
            drop(state);
            drop(task);
            return Err(refusal);
        }
        state.queue.push(task.metadata().key(), task);
        // Each task that waits before this one is about to be taken by an idle thread.
        let idle_for_it = state.idle > waiting;
        let starts = !idle_for_it && state.threads < self.bounds.threads;
        let new = starts.then(|| state.count_thread(&self.threads));
        drop(state);
        if idle_for_it {
            self.changed.notify_one();
        }
        Ok(new)
    }

    fn start(self: &Arc<Self>, new: NewThread) -> io::Result<()> {
        let NewThread { number, mut guard } = new;
        // There is one: the caller, which queues work, has a handle.
        let (pool, runtime) = (Arc::clone(self), self.runtime.upgrade());
        let name = format!("{}-{number}", self.thread_name);
        let thread = threads::spawn(name, move || {
            guard.begin();
            let scope = runtime.map(|runtime| context::enter(Context::Entered(runtime)));
            pool.work();
            drop(scope);
            drop(guard);
        })?;
        self.threads.keep(thread);
        Ok(())
    }

    /// A thread that was counted could not be started. One fewer than wanted is not a failure; where
    /// there is none at all, no waiting task would ever run: they are taken out and returned.
    #[must_use = "the tasks are to be dropped without the lock"]
    fn count_missing_thread(&self, error: &io::Error) -> Vec<Task> {
        let mut state = self.state.lock();
        state.threads -= 1;
        let threads = state.threads;
        let stranded = if threads > 0 { Vec::new() } else { state.take_all() };
        state.refused += stranded.len() as u64;
        drop(state);
        let pool = self.thread_name.as_str();
        panics::log(|| match threads {
            0 => tracing::error!(%error, pool, "no blocking thread could be started"),
            _ => tracing::warn!(%error, pool, threads, "no further blocking thread"),
        });
        stranded
    }

    /// Takes a task out of the queue, if it still waits there.
    #[must_use = "the task is to be dropped without the lock"]
    pub(super) fn take_out(&self, key: u32, serial: u32) -> Option<Task> {
        self.state.lock().queue.remove_if(key, |task| task.metadata().is(key, serial))
    }

    /// Runs tasks until this thread, which is counted, is to end.
    fn work(&self) {
        let guard = CountGuard(self);
        self.runtime.thread_scope.run_steps(ThreadKind::Blocking, || {
            let Some(task) = self.next() else { return ControlFlow::Break(()) };
            // The cell catches panics of its work. One that escapes does not end the thread, on which
            // other tasks rely.
            panics::contain(Place::BlockingThread, || task.run());
            ControlFlow::Continue(())
        });
        // `next` has taken it out of the count, under the lock under which it found the queue empty.
        mem::forget(guard);
    }

    /// The oldest task, or `None` when this thread is to end.
    fn next(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.queue.pop() {
                self.note_wait(&task);
                return Some(task);
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let idled = self.changed.wait_for(&mut state, IDLE_TIME).timed_out();
            state.idle -= 1;
            if idled && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        None
    }

    /// Under the lock of the state. Reads the clock: blocking work has no poll boundary to take a time
    /// from.
    fn note_wait(&self, task: &Task) {
        if cfg!(feature = "metrics") {
            self.wait.record(task.metadata().woken().nanos_until(self.runtime.clock.now()));
        }
    }

    pub(super) fn wait(&self) -> &Histogram {
        &self.wait
    }

    /// Refuses tasks from now on, drops those that wait, and lets idle threads end.
    pub(super) fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.closed = true;
            state.take_all()
        };
        self.changed.notify_all();
        drop(waiting);
    }

    pub(super) fn load(&self, now: Instant) -> Load {
        let state = self.state.lock();
        let oldest = state.queue.first().map(|task| task.metadata().woken());
        Load {
            threads: state.threads,
            queued: state.queue.len(),
            refused: state.refused,
            oldest_nanos: oldest.map_or(0, |oldest| oldest.nanos_until(now)),
        }
    }
}

impl State {
    fn count_thread(&mut self, threads: &Arc<ThreadTracker>) -> NewThread {
        let number = self.started;
        self.threads += 1;
        self.started += 1;
        // Under the lock: a shutdown that closes the pool later waits for this thread.
        NewThread { number, guard: threads.enter() }
    }

    fn take_all(&mut self) -> Vec<Task> {
        std::iter::from_fn(|| self.queue.pop()).collect()
    }
}

/// Takes a thread that unwinds out of the count of threads.
struct CountGuard<'a>(&'a Pool);

impl Drop for CountGuard<'_> {
    fn drop(&mut self) {
        self.0.state.lock().threads -= 1;
    }
}

/// How long a thread waits for work before it ends.
const IDLE_TIME: Duration = Duration::from_secs(10);

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::clock::Clock;
    use crate::task::{
        Admission, JoinHandle, NoOwner, Refused, SpawnInfo, TaskRegistry, launch_with, unguarded,
    };
    use crate::wheel::TimerQueue;

    fn pool(threads: usize, queued: usize) -> Arc<Pool> {
        let bounds = Bounds { threads, queued };
        let timers = Arc::new(TimerQueue::new(None));
        let runtime = Arc::new(RuntimeContext::new(Clock::manual().0, timers));
        Pool::new(runtime, bounds, "test".to_owned(), Arc::default())
    }

    fn registry() -> Arc<TaskRegistry> {
        TaskRegistry::new(0, 8, Arc::new(NoOwner))
    }

    fn info() -> SpawnInfo {
        SpawnInfo { name: None, location: Location::caller() }
    }

    fn admit(registry: &Arc<TaskRegistry>) -> Result<Admission, Refused> {
        TaskRegistry::admit(registry, &info(), Account::NONE)
    }

    /// Builds a task of `registry` and has `queue` take it.
    fn launch(
        registry: &Arc<TaskRegistry>,
        queue: impl FnOnce(Task) -> Result<(), Refusal>,
    ) -> JoinHandle<()> {
        let queue = |task| queue(task).map_err(|refusal| Refused::new(registry, &info(), refusal));
        launch_with(admit(registry), async {}, |task, _| drop(task), queue)
    }

    /// Failure: a thread was started under the lock of the pool, so that all callers waited for the
    /// system. Started without the lock, one that fails leaves tasks that relied on it.
    #[test]
    fn tasks_that_relied_on_a_thread_that_cannot_be_started_do_not_wait_for_ever() {
        let (pool, registry) = (pool(1, 8), registry());
        let mut new = None;
        let own = launch(&registry, |task| {
            new = pool.enqueue(task)?;
            Ok(())
        });
        let other = launch(&registry, |task| {
            assert!(pool.enqueue(task)?.is_none(), "the one thread there may be is being started");
            Ok(())
        });
        assert!(pool.state.try_lock().is_some(), "a thread is started without the lock");
        drop(new.expect("the first task wants a thread"));
        let stranded = pool.count_missing_thread(&io::ErrorKind::WouldBlock.into());
        assert_eq!((stranded.len(), pool.load(Instant::ZERO).threads), (2, 0));
        drop(stranded);
        assert!(own.is_finished() && other.is_finished());
        assert_eq!(pool.load(Instant::ZERO).refused, 2);
    }

    #[test]
    fn thread_that_is_missing_among_others_is_no_failure() {
        let (pool, registry) = (pool(2, 8), registry());
        let mut new = Vec::new();
        let tasks = [(); 2].map(|()| {
            launch(&registry, |task| {
                new.extend(pool.enqueue(task)?);
                Ok(())
            })
        });
        assert_eq!(new.len(), 2);
        assert!(pool.count_missing_thread(&io::ErrorKind::WouldBlock.into()).is_empty());
        pool.close();
        assert!(tasks.iter().all(JoinHandle::is_finished));
    }

    /// Failure: a panic that got out of a task ended its thread, which stayed in the count; after as
    /// many as there may be threads nothing ran.
    #[test]
    fn panic_that_gets_out_of_a_task_costs_no_thread() {
        let (pool, registry) = (pool(1, 8), registry());
        let new =
            pool.enqueue(unguarded(admit(&registry), async { panic!("expected by this test") }));
        assert!(new.unwrap().is_some());
        let good = launch(&registry, |task| {
            assert!(pool.enqueue(task)?.is_none());
            Ok(())
        });
        let there = Arc::clone(&pool);
        let worker = std::thread::spawn(move || there.work());
        while !good.is_finished() {
            std::thread::yield_now();
        }
        assert_eq!(pool.load(Instant::ZERO).threads, 1);
        pool.close();
        worker.join().unwrap();
        assert_eq!(pool.load(Instant::ZERO).threads, 0);
    }
}
