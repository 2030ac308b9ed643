//! A worker: a value with one `turn`. A thread calls it in a loop; a simulation may call the turns of many
//! workers in any order.

pub(crate) mod context;
pub(crate) mod current;
mod drainers;
mod events;
mod find_task;
mod full_harvests;
pub(crate) mod main_task;
mod notify;
mod park;
pub(crate) mod schedule;
pub(crate) mod shared;
mod sleepers;
mod stats;
mod watched;
pub(crate) mod worker_shared;

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::clock::{Instant, nanos};
use crate::context::{PollContext, RuntimeContext, RuntimeRef, ThreadKind};
use crate::panics::{self, Place};
use crate::queue::LocalQueue;
use crate::task::{Task, TaskRegistry};
use crate::wake::ParkKind;
use crate::wake::estimate::{Estimate, HARVEST_MAX};
use crate::wake::policy::Trigger;
use crate::worker::context::{WakeSource, WorkerContext};
use crate::worker::full_harvests::FullHarvests;
use crate::worker::shared::Shared;
use crate::worker::stats::PollStats;
use crate::worker::worker_shared::WorkerShared;

/// What a worker keeps for itself between turns.
pub(crate) struct Worker {
    context: Rc<WorkerContext>,
    /// These are in the context, or in `shared`, and here at hand.
    poll: Rc<PollContext>,
    own: Arc<CachePadded<WorkerShared>>,
    runtime: Arc<RuntimeContext>,
    shared: Arc<Shared>,
    rng: fastrand::Rng,
    wakers: Vec<Waker>,
    /// This worker owns the wake permit: it was woken, and has not yet found work or gone idle.
    has_permit: bool,
    /// Where it waits, from the announcement until it has left again.
    park_kind: Option<ParkKind>,
    /// The deadline of the shared timers that it watches while it is idle.
    watched: Option<Instant>,
    /// It looks at the injector and the shards after so many turns,
    turns_left: u32,
    /// and no later than then.
    look_by: Instant,
    /// The task that runs next, or now, is from the express queue.
    is_express: bool,
    stats: PollStats,
    full_harvests: FullHarvests,
}

/// What a worker is made of.
pub(crate) struct WorkerParts {
    pub(crate) shared: Arc<Shared>,
    /// Where the tasks belong that it spawns.
    pub(crate) registry: Arc<TaskRegistry>,
    pub(crate) index: usize,
    pub(crate) queue: LocalQueue,
    /// Of its random choices.
    pub(crate) seed: u64,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Ran,
    Parked,
    /// The runtime is closing; the worker is to be dropped.
    Closed,
}

impl Worker {
    pub(crate) fn new(runtime: RuntimeRef, parts: WorkerParts) -> Self {
        let WorkerParts { shared, registry, index, queue, seed } = parts;
        let context = WorkerContext::new(runtime, Arc::clone(&shared), registry, index, queue);
        let poll = Rc::clone(&context.poll);
        Worker {
            look_by: poll.now.get() + TIME_BETWEEN_LOOKS,
            context: Rc::new(context),
            poll,
            own: Arc::clone(&shared.workers[index]),
            runtime: Arc::clone(&shared.context),
            shared,
            rng: fastrand::Rng::with_seed(seed),
            wakers: Vec::with_capacity(HARVEST_MAX),
            has_permit: false,
            park_kind: None,
            watched: None,
            turns_left: TURNS_BETWEEN_LOOKS,
            is_express: false,
            stats: PollStats::default(),
            full_harvests: FullHarvests::default(),
        }
    }

    /// Runs turns until the runtime closes.
    ///
    /// A turn that panics, by a fault of the `Park` or of this crate, ends there: the worker goes on
    /// with the next, so that its queue is served.
    pub(crate) fn run_to_close(mut self) {
        let shared = Arc::clone(&self.shared);
        // It outlives the scope below, behind which this thread injects what it wakes.
        let _drainer = shared.drainer();
        let _worker = current::enter(&self.context);
        self.own.runs_here();
        let runtime = Arc::clone(&self.runtime);
        let one_by_one = runtime.thread_scope.is_some();
        let mut last = Instant::ZERO;
        runtime.thread_scope.run_steps(ThreadKind::Worker, || {
            let turn = match one_by_one {
                true => self.turns(&mut last, || true),
                false => self.turns(&mut last, || false),
            };
            if turn == Turn::Closed {
                self.close();
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
    }

    /// Runs turns until the runtime closes, a turn panics, or `done`, which is asked after each. Returns
    /// the last turn. That of an earlier panic is `last`.
    fn turns(&mut self, last: &mut Instant, done: impl Fn() -> bool) -> Turn {
        let turns = || {
            loop {
                let turn = self.turn();
                if turn == Turn::Closed || done() {
                    return turn;
                }
            }
        };
        panics::contain(Place::Worker, turns).unwrap_or_else(|| {
            *last = self.recover_and_pause(*last);
            Turn::Ran
        })
    }

    /// Goes on after a turn that panicked; the one before it did at `last`. Returns the time.
    #[cold]
    fn recover_and_pause(&mut self, last: Instant) -> Instant {
        let now = self.tick();
        panics::contain(Place::Worker, || self.recover());
        if now.nanos_since(last) < nanos(PAUSE_AFTER_PANICS) {
            // One after the other: a `Park` that always panics shall not take the CPU.
            self.shared.sleep.parker(self.poll.index()).park(Some(PAUSE_AFTER_PANICS));
        }
        now
    }

    /// Undoes what a turn that panicked had begun.
    fn recover(&mut self) {
        self.own.counters.recoveries.add(1);
        self.own.end_poll();
        self.context.wake_source.set(WakeSource::RunningTask);
        self.leave();
        self.dispatch(WakeSource::Events);
    }

    /// Finds one task and runs it, or waits for one.
    pub(crate) fn turn(&mut self) -> Turn {
        if self.runtime.is_closing() {
            return Turn::Closed;
        }
        self.fire_timers();
        match self.find_task() {
            Some(task) => {
                self.pass_permit_on();
                self.run(task);
                Turn::Ran
            }
            None => self.park(),
        }
    }

    fn run(&mut self, task: Task) {
        let (started, own) = (self.now(), &self.own);
        let woken = task.metadata().woken();
        own.histograms.runs(woken.nanos_until(started), woken.by_event(), self.is_express);
        self.poll.begin_poll(woken.account());
        own.begin_poll(started, task.metadata().address());
        task.run();
        self.ran(started);
    }

    /// Takes note of a poll that has ended.
    #[inline]
    fn ran(&mut self, started: Instant) {
        let own = &self.own;
        own.end_poll();
        let now = self.tick();
        let length = now.nanos_since(started);
        self.context.charge(now);
        if std::mem::take(&mut self.is_express) {
            own.counters.express_busy.add(length);
        }
        if self.stats.saw_poll(&self.shared, own, now, length) {
            self.shared.notify_if_idle(Trigger::LongPoll { queued: self.context.queue.len() });
        }
    }

    /// Lets the estimate fall by what the polls since the last call took.
    fn end_batch(&mut self) {
        self.stats.end_batch(&self.own);
    }

    fn estimate(&self) -> Estimate {
        self.own.estimate()
    }

    fn now(&self) -> Instant {
        self.poll.now.get()
    }

    /// Reads the clock, once for all that need the time at this poll boundary.
    fn tick(&self) -> Instant {
        let now = self.runtime.clock.now();
        self.poll.now.set(now);
        now
    }

    /// Drops what is queued here, and what the drops queue.
    fn close(&self) {
        loop {
            match self.own.queue.take_any() {
                Some(task) => drop(task),
                None => return,
            }
        }
    }
}

/// How long a worker waits after a second panic of its turn within that time.
const PAUSE_AFTER_PANICS: Duration = Duration::from_millis(10);
/// Timers fired before tasks have a turn again.
const TIMERS_AT_ONCE: usize = 1024;
/// Tasks run between two looks at the injector and the shards, at most.
const TURNS_BETWEEN_LOOKS: u32 = 61;
/// Time between two looks at the shards, at most, polls permitting.
const TIME_BETWEEN_LOOKS: Duration = Duration::from_micros(200);
/// The same while light tasks pass others that wait.
const TIME_BETWEEN_LOOKS_FOR_LIGHT_TASKS: Duration = Duration::from_micros(50);
