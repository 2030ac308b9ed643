//! The blocking pool: threads for work that blocks or computes for long.
//!
//! Bounded twice: threads are started as they are needed, up to a bound, and end after some idle
//! time; work waits in one queue, and what finds it full is refused.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_task::ScheduleInfo;
use parking_lot::{Condvar, Mutex};

use crate::context::{self, Context};
use crate::exits::Exits;
use crate::figures::{Histogram, Scale};
use crate::panics::{self, Place};
use crate::runtime::{Handle, WeakHandle};
use crate::task::{Owner, Refusal, Task, WakeStamp};
use crate::threads;
use crate::time::{Clock, Instant};

pub(crate) struct Blocking {
    clock: Clock,
    max_threads: usize,
    max_queued: usize,
    thread_name: String,
    exits: Arc<Exits>,
    state: Mutex<State>,
    /// From queueing to the start. Written under the lock of `state`.
    wait: Histogram,
    changed: Condvar,
    /// The runtime that this belongs to; set once, when that is made.
    runtime: OnceLock<WeakHandle>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Task>,
    /// Places promised to tasks that are being built.
    reserved: usize,
    idle: usize,
    threads: usize,
    started: u64,
    refused: u64,
    closed: bool,
}

/// What the pool does now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockingLoad {
    pub(crate) threads: usize,
    pub(crate) queued: usize,
    pub(crate) refused: u64,
    pub(crate) oldest_nanos: u64,
}

impl Blocking {
    pub(crate) fn new(
        clock: Clock,
        max_threads: usize,
        max_queued: usize,
        thread_name: String,
        exits: Arc<Exits>,
    ) -> Arc<Self> {
        Arc::new(Blocking {
            clock,
            max_threads,
            max_queued,
            thread_name,
            exits,
            state: Mutex::default(),
            wait: Histogram::new(Scale::Time),
            changed: Condvar::new(),
            runtime: OnceLock::new(),
        })
    }

    /// Promises a place in the queue and sees to it that a thread will come to it.
    pub(crate) fn reserve(self: &Arc<Self>, handle: &Handle) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refusal::ShuttingDown);
        }
        let waiting = state.queue.len() + state.reserved;
        if waiting >= self.max_queued + state.idle {
            state.refused += 1;
            return Err(Refusal::Full { bound: self.max_queued });
        }
        if state.idle <= waiting && state.threads < self.max_threads {
            self.start_thread(&mut state, handle)?;
        }
        state.reserved += 1;
        Ok(())
    }

    fn start_thread(self: &Arc<Self>, state: &mut State, handle: &Handle) -> Result<(), Refusal> {
        let pool = Arc::clone(self);
        let handle = handle.clone();
        let exit = self.exits.enter();
        let name = format!("{}-blocking-{}", self.thread_name, state.started);
        let thread = threads::spawn(name, move || {
            exit.begin();
            let _scope = context::enter(Context::Entered(handle));
            pool.work();
            drop(exit);
        });
        match thread {
            Ok(thread) => {
                self.exits.keep(thread);
                state.threads += 1;
                state.started += 1;
                Ok(())
            }
            // One fewer than wanted is not a failure; none at all is.
            Err(error) if state.threads > 0 => {
                tracing::warn!(%error, threads = state.threads, "no further blocking thread");
                Ok(())
            }
            Err(error) => {
                state.refused += 1;
                tracing::error!(%error, "no blocking thread could be started");
                Err(Refusal::NoThread)
            }
        }
    }

    pub(crate) fn set_runtime(&self, runtime: WeakHandle) {
        let set = self.runtime.set(runtime);
        debug_assert!(set.is_ok(), "a pool belongs to one runtime");
    }

    fn push(&self, task: Task) {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(1);
        if state.closed {
            drop(state);
            drop(task);
            return;
        }
        task.metadata().stamp_wake(WakeStamp::new(self.clock.now(), false));
        state.queue.push_back(task);
        drop(state);
        self.changed.notify_one();
    }

    fn work(&self) {
        while let Some(task) = self.next() {
            panics::contain(Place::BlockingThread, || task.run());
        }
    }

    /// The oldest task, or `None` when this thread is to end.
    fn next(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.queue.pop_front() {
                self.note_wait(&task);
                return Some(task);
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let idled = self.changed.wait_for(&mut state, IDLE_TIME).timed_out();
            state.idle -= 1;
            if idled && state.queue.is_empty() && state.reserved == 0 {
                break;
            }
        }
        state.threads -= 1;
        None
    }

    /// Under the lock of the state. Blocking work pays for a look at the clock of its own.
    fn note_wait(&self, task: &Task) {
        if cfg!(feature = "figures") {
            self.wait.record_time(self.clock.now() - task.metadata().woken().at());
        }
    }

    /// How long work waited for a thread.
    pub(crate) fn wait(&self) -> &Histogram {
        &self.wait
    }

    /// Refuses work from now on, drops what waits, and lets idle threads end.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.queue)
        };
        self.changed.notify_all();
        drop(waiting);
    }

    pub(crate) fn load(&self, now: Instant) -> BlockingLoad {
        let state = self.state.lock();
        let oldest = state.queue.front().map(|task| task.metadata().woken().at());
        BlockingLoad {
            threads: state.threads,
            queued: state.queue.len(),
            refused: state.refused,
            oldest_nanos: oldest
                .map_or(0, |oldest| now.as_nanos().saturating_sub(oldest.as_nanos())),
        }
    }
}

/// Queues a task of the blocking pool; the schedule function of its cell.
pub(crate) fn schedule(task: Task, _info: ScheduleInfo) {
    let owner = Arc::clone(task.metadata().home().owner());
    owner.schedule(task);
}

impl Owner for Blocking {
    fn schedule(&self, task: Task) {
        self.push(task);
    }

    fn run_inside(&self, code: &mut dyn FnMut()) {
        WeakHandle::run_inside(self.runtime.get(), code);
    }
}

/// How long a thread waits for work before it ends.
const IDLE_TIME: Duration = Duration::from_secs(10);
