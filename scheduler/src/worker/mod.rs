//! A worker: a value with one `turn`. A thread calls it in a loop; a simulation may call many in
//! whatever order it likes.

pub(crate) mod context;
pub(crate) mod current;
mod notify;
pub(crate) mod schedule;
pub(crate) mod shared;
pub(crate) mod stats;
mod watched;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::clock::{Instant, nanos};
use crate::context::RuntimeRef;
use crate::panics::{self, Place};
use crate::park::Harvest;
use crate::queue::LocalQueue;
use crate::sync::atomic::Ordering;
use crate::sync::fence;
use crate::task::{Task, TaskRegistry};
use crate::wake::ParkKind;
use crate::wake::estimate::{Estimate, HARVEST_MAX};
use crate::wake::policy::{Action, Trigger, decide, listener_cap};
use crate::worker::context::{WakeSource, WorkerContext};
use crate::worker::shared::{Shared, WorkerShared, due};
use crate::worker::stats::PollStats;

pub(crate) struct Worker {
    local: Rc<WorkerContext>,
    shared: Arc<Shared>,
    rng: fastrand::Rng,
    wakers: Vec<Waker>,
    /// This worker owns the wake permit: it was woken, and has not yet found work or gone idle.
    has_permit: bool,
    /// Where it sleeps, from the announcement until it has left again.
    park_kind: Option<ParkKind>,
    /// The deadline of the shared timers that it watches while it sleeps.
    watched: Option<Instant>,
    /// It looks around after so many turns, and no later than then.
    turns_left: u32,
    look_by: Instant,
    stats: PollStats,
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
        let local =
            Rc::new(WorkerContext::new(runtime, Arc::clone(&shared), registry, index, queue));
        Worker {
            look_by: local.poll.now.get() + TIME_BETWEEN_LOOKS,
            local,
            shared,
            rng: fastrand::Rng::with_seed(seed),
            wakers: Vec::with_capacity(HARVEST_MAX),
            has_permit: false,
            park_kind: None,
            watched: None,
            turns_left: TURNS_BETWEEN_LOOKS,
            stats: PollStats::default(),
        }
    }

    /// Runs turns until the runtime closes.
    ///
    /// A turn that panics, by a fault of the `Park` or of this crate, ends there: the worker goes on
    /// with the next, so that its queue is served.
    pub(crate) fn run_to_close(mut self) {
        let _scope = current::enter(&self.local);
        self.own().runs_here();
        let mut last = Instant::ZERO;
        while panics::contain(Place::Worker, || while self.turn() != Turn::Closed {}).is_none() {
            let now = self.tick();
            panics::contain(Place::Worker, || self.recover());
            if now.nanos_since(last) < nanos(PAUSE_AFTER_PANICS) {
                // One after the other: a `Park` that always panics shall not take the CPU.
                self.shared.sleep.parker(self.local.index()).park(Some(PAUSE_AFTER_PANICS));
            }
            last = now;
        }
        self.close();
    }

    /// Undoes what a turn that panicked had begun.
    #[cold]
    fn recover(&mut self) {
        self.own().counters.recoveries.add(1);
        self.own().end_poll();
        self.local.wake_source.set(WakeSource::RunningTask);
        self.unpark();
        self.dispatch(WakeSource::Events);
    }

    /// Finds one task and runs it, or waits for one.
    pub(crate) fn turn(&mut self) -> Turn {
        if self.shared.closing() {
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

    fn find_task(&mut self) -> Option<Task> {
        self.look_around()
            .or_else(|| self.local.queue.pop_next(&self.own().queue, self.now()))
            .or_else(|| self.pop())
            .or_else(|| self.take_injected())
            .or_else(|| self.steal())
            .or_else(|| self.search_shards())
    }

    /// Once in a while: the injector first, and whatever no listener sees, so that busy tasks
    /// starve neither foreign ones nor I/O.
    fn look_around(&mut self) -> Option<Task> {
        self.turns_left -= 1;
        if self.turns_left > 0 && self.now() <= self.look_by {
            return None;
        }
        self.turns_left = TURNS_BETWEEN_LOOKS;
        self.look_by = self.now() + TIME_BETWEEN_LOOKS;
        self.poll_uncovered_shards();
        self.take_injected()
    }

    fn take_injected(&self) -> Option<Task> {
        if self.shared.injector.is_empty() {
            return None;
        }
        let limit = self.estimate().share(self.shared.injector.len(), self.shared.workers.len());
        self.local.queue.take_injected(&self.own().queue, &self.shared.injector, limit)
    }

    fn pop(&self) -> Option<Task> {
        self.local.queue.pop(&self.own().queue)
    }

    /// Takes from another worker: its ready tasks, an aged next slot, or timers it cannot come to.
    fn steal(&mut self) -> Option<Task> {
        let shared = Arc::clone(&self.shared);
        let (workers, me) = (shared.workers.len(), self.local.index());
        if workers == 1 {
            return None;
        }
        let start = self.rng.usize(..workers);
        let victims = (start..workers).chain(0..start).filter(|&victim| victim != me);
        for victim in victims.map(|victim| &shared.workers[victim]) {
            if let Some(task) = self.steal_from(victim) {
                return Some(task);
            }
        }
        None
    }

    fn steal_from(&mut self, victim: &WorkerShared) -> Option<Task> {
        let now = self.now();
        if !victim.queue.is_empty() {
            // As much as is worth moving: of a few long polls one, of others up to half.
            let estimate = self.estimate().max(victim.estimate());
            let limit = estimate.share(victim.queue.len(), self.shared.workers.len());
            let before = self.local.queue.len();
            let task = self.local.queue.steal(&self.own().queue, &victim.queue, limit);
            let counters = &self.own().counters;
            match task {
                Some(_) => {
                    counters.steal_hits.add(1);
                    let more = self.local.queue.len().saturating_sub(before);
                    counters.stolen_tasks.add(1 + more as u64);
                }
                None => counters.steal_misses.add(1),
            }
            return task;
        }
        if victim.timers_stuck(now) {
            let fired = victim.timers.advance(now, TIMERS_AT_ONCE, &mut self.wakers);
            self.own().counters.timers_fired.add(fired as u64);
            self.dispatch(WakeSource::Timers);
            return self.pop();
        }
        victim.queue.steal_aged_next(now)
    }

    /// Who was woken also looks into the shards that nobody listens on.
    fn search_shards(&mut self) -> Option<Task> {
        if !self.has_permit {
            return None;
        }
        self.poll_uncovered_shards();
        self.pop()
    }

    fn poll_uncovered_shards(&mut self) {
        for shard in 0..self.shared.park.shards() {
            if self.shared.sleep.shard_is_covered(shard) {
                continue;
            }
            self.own().counters.shard_polls.add(1);
            let bound = self.harvest_bound();
            let harvest = self.shared.park.poll(shard, bound, &mut self.wakers);
            self.took(shard, harvest);
            // Without having listened there: a wake found in passing is ours to pass on.
            self.has_permit |= self.shared.sleep.take_notification(shard);
            self.dispatch(WakeSource::Events);
        }
    }

    /// Having found work with the wake permit: releases it, and wakes the next worker if more work
    /// waits. Submitters that saw the permit rely on this look.
    fn pass_permit_on(&mut self) {
        if !self.has_permit {
            return;
        }
        self.has_permit = false;
        self.own().counters.useful_wakes.add(1);
        self.shared.sleep.release_permit();
        // Pairs with the fence in `notify_one`: a submitter that saw the permit out has made its
        // work visible before that fence, and the decision sees the work.
        fence(Ordering::SeqCst);
        let trigger = Trigger::PermitReleased { now: self.now() };
        // With a task in hand, which a panic of the `Park` must not drop.
        let action = panics::contain(Place::Park, || decide(trigger, &*self.shared));
        self.shared.carry_out(action.unwrap_or(Action::UnparkOne));
    }

    fn run(&mut self, task: Task) {
        let (started, own) = (self.now(), self.local.own());
        let woken = task.metadata().woken();
        own.distributions.runs(woken.at(), woken.by_event(), started);
        self.local.poll.refill_budget();
        own.begin_poll(started, task.metadata().address());
        task.run();
        own.end_poll();
        let now = self.tick();
        let length = now.nanos_since(started);
        if self.stats.saw_poll(&self.shared, own, now, length) {
            self.shared.notify_if_idle(Trigger::LongPoll { queued: self.local.queue.len() });
        }
    }

    /// Lets the estimate fall by what the polls since the last call took.
    fn end_batch(&mut self) {
        self.stats.end_batch(self.local.own());
    }

    fn fire_timers(&mut self) {
        let now = self.now();
        if due(self.local.timers(), now) || self.shared.shared_timers_due(now) {
            self.fire_due_timers(now);
        }
    }

    #[cold]
    fn fire_due_timers(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        for timers in [&self.own().timers, &shared.context.shared_timers].map(Arc::clone) {
            let fired = timers.advance(now, TIMERS_AT_ONCE, &mut self.wakers);
            self.own().counters.timers_fired.add(fired as u64);
        }
        self.dispatch(WakeSource::Timers);
    }

    /// Calls the wakers of a batch: their tasks go to the deque, then one decision is made.
    fn dispatch(&mut self, wake_source: WakeSource) {
        if self.wakers.is_empty() {
            return;
        }
        self.end_batch();
        self.local.wake_source.set(wake_source);
        panics::wake_all(self.wakers.drain(..));
        self.local.wake_source.set(WakeSource::RunningTask);
        let (queued, estimate) = (self.local.queue.len(), self.estimate());
        self.shared.notify_if_idle(Trigger::Batch { queued, estimate });
    }

    /// Nothing to run: announces that it sleeps, looks everywhere once more, and waits.
    ///
    /// From the announcement to the end of the wait no foreign code runs: it might wake a task, for
    /// which this worker has looked for the last time.
    fn park(&mut self) -> Turn {
        self.end_batch();
        // A cancelled timer must not wake an idle worker, nor keep its task's memory until then. Its
        // waker is dropped, which is foreign code.
        self.local.tidy_timers();
        if self.local.has_work() {
            return Turn::Parked;
        }
        if std::mem::take(&mut self.has_permit) {
            self.own().counters.empty_wakes.add(1);
            self.shared.sleep.release_permit();
        }
        let shared = Arc::clone(&self.shared);
        self.park_kind = Some(shared.sleep.announce(self.local.index(), self.listener_cap()));
        // Behind the fence in `announce`: the work of a submitter that did not see the announcement
        // is seen here.
        let last_look = Trigger::LastLook { worker: self.local.index(), now: self.now() };
        if decide(last_look, &*shared) == Action::KeepSearching {
            self.tick();
            self.unpark();
            return Turn::Parked;
        }
        self.watched = shared.watch_shared_timers();
        let deadline = [self.local.timers().next(), self.watched].into_iter().flatten().min();
        if shared.all_idle() {
            shared.monitor.on_all_idle();
        }
        self.wait(deadline);
        self.dispatch(WakeSource::Events);
        Turn::Parked
    }

    /// Takes the announcement back, if there is one.
    fn unpark(&mut self) {
        let Some(park_kind) = self.park_kind.take() else { return };
        self.has_permit |= self.shared.sleep.leave(self.local.index(), park_kind);
        if let Some(watched) = self.watched.take() {
            self.shared.unwatch_shared_timers(watched);
        }
        self.shared.monitor.on_unpark(self.now());
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        let timeout = deadline.map(|deadline| deadline.duration_since(self.shared.clock.now()));
        match self.park_kind {
            Some(ParkKind::Listening(shard)) => {
                self.own().counters.listens.add(1);
                let bound = self.harvest_bound();
                let harvest = self.shared.park.listen(shard, bound, timeout, &mut self.wakers);
                self.on_unpark();
                self.took(shard, harvest);
                if self.shared.park.shards() == 1 {
                    // That was the look; of several the others have theirs still to come.
                    self.turns_left = TURNS_BETWEEN_LOOKS;
                }
            }
            Some(ParkKind::Parked) => {
                self.own().counters.parks.add(1);
                self.shared.sleep.parker(self.local.index()).park(timeout);
                self.on_unpark();
            }
            None => unreachable!("a worker announces itself before it waits"),
        }
    }

    /// The wait is over.
    fn on_unpark(&mut self) {
        let now = self.tick();
        self.unpark();
        self.look_by = now + TIME_BETWEEN_LOOKS;
        self.own().queue.set_oldest(now);
    }

    fn took(&self, shard: usize, harvest: io::Result<Harvest>) {
        let WorkerShared { counters, distributions, .. } = self.own();
        let harvest = harvest.unwrap_or_else(|error| {
            counters.shard_errors.add(1);
            panics::log(|| tracing::error!(%error, "waiting for events failed"));
            Harvest::default()
        });
        counters.took(harvest);
        if harvest.events > 0 {
            distributions.harvest.record(harvest.events as u64);
        }
        if harvest.woken
            && let Some(waited) = self.shared.overload.record(shard, || self.shared.clock.now())
        {
            distributions.probe.record(waited);
        }
    }

    fn harvest_bound(&self) -> usize {
        self.estimate().harvest_bound(self.shared.workers.len())
    }

    fn listener_cap(&self) -> usize {
        let long_poll_mode = self.shared.monitor.in_long_poll_mode(self.now());
        listener_cap(self.estimate(), self.shared.workers.len(), long_poll_mode)
    }

    fn estimate(&self) -> Estimate {
        self.own().estimate()
    }

    fn own(&self) -> &WorkerShared {
        self.local.own()
    }

    fn now(&self) -> Instant {
        self.local.poll.now.get()
    }

    /// Reads the clock, once for everybody who needs the time at this poll boundary.
    fn tick(&self) -> Instant {
        let now = self.shared.clock.now();
        self.local.poll.now.set(now);
        now
    }

    /// Drops what is queued here. Each drop may queue more, which [`WorkerContext::push`] drops at once.
    fn close(self) {
        loop {
            match self.own().queue.take_any() {
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
pub(crate) const TURNS_BETWEEN_LOOKS: u32 = 61;
/// Time between two looks at the shards, at most, polls permitting.
pub(crate) const TIME_BETWEEN_LOOKS: Duration = Duration::from_micros(200);
