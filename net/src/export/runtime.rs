//! The families of a runtime and of its workers.

use std::collections::BTreeMap;
use std::time::Duration;

use heist_scheduler::{Account, CurrentPoll, Handle, Metrics, WorkerMetrics};

use super::family::{Family, Series, counter, gauge, histogram, passing_gauge, seconds};
use crate::runtime::driver::Driver;

/// The metrics of a runtime and its event queue.
pub(super) struct RuntimeMetrics {
    pub(super) scheduler: Metrics,
    /// `None` for a runtime without an event queue.
    sources: Option<usize>,
    /// What some accounts are called.
    accounts: AccountNames,
}

/// What accounts are called, by their index; others are called by that.
#[derive(Clone, Debug, Default)]
pub(super) struct AccountNames(BTreeMap<usize, String>);

impl AccountNames {
    pub(super) fn set(&mut self, account: Account, name: String) {
        self.0.insert(account.index(), name);
    }

    fn of(&self, account: Account) -> String {
        let index = account.index();
        self.0.get(&index).cloned().unwrap_or_else(|| index.to_string())
    }
}

impl RuntimeMetrics {
    pub(super) fn of(runtime: &Handle, accounts: &AccountNames) -> RuntimeMetrics {
        RuntimeMetrics {
            scheduler: runtime.metrics(),
            sources: Driver::of(runtime).map(|driver| driver.queue().sources()),
            accounts: accounts.clone(),
        }
    }

    /// What the heaviest accounts attained, by name: several may have one.
    fn attained(&self) -> BTreeMap<String, Duration> {
        let mut attained = BTreeMap::new();
        for load in &self.scheduler.heaviest_accounts {
            *attained.entry(self.accounts.of(load.account)).or_default() += load.attained;
        }
        attained
    }

    fn sum(&self, value: impl Fn(&WorkerMetrics) -> u64) -> u64 {
        self.scheduler.workers.iter().map(value).sum()
    }
}

pub(super) const WORKER: &[Family<WorkerMetrics>] = &[
    seconds("heist_worker_busy_seconds_total", "Time spent in polls of tasks.", |w, s| {
        s.one(w.busy);
    }),
    counter("heist_worker_polls_total", "Polls of tasks.", |w, s| s.one(w.polls)),
    seconds("heist_worker_express_busy_seconds_total", EXPRESS_BUSY, |w, s| s.one(w.express_busy)),
    counter("heist_worker_express_polls_total", EXPRESS_POLLS, |w, s| s.one(w.express_polls)),
    counter("heist_worker_parks_total", "Times the worker went to sleep, by where.", |w, s| {
        s.each(&[("where", "kernel")], w.listens);
        s.each(&[("where", "parked")], w.parks);
    }),
    counter("heist_worker_long_polls_total", LONG_POLLS, |w, s| s.one(w.long_polls)),
    counter("heist_worker_preempted_polls_total", PREEMPTED, |w, s| s.one(w.preempted_polls)),
    counter("heist_worker_recoveries_total", RECOVERIES, |w, s| s.one(w.recoveries)),
    gauge("heist_worker_queue_depth", "Tasks in the worker's deque.", |w, s| {
        s.one(w.queue_depth);
    }),
    passing_gauge("heist_worker_current_poll_seconds", CURRENT_POLL, current_poll),
];

pub(super) const RUNTIME: &[Family<RuntimeMetrics>] = &[
    gauge("heist_workers", "Worker threads.", |r, s| s.one(r.scheduler.workers.len())),
    gauge("heist_oldest_runnable_seconds", "Age of the oldest task that waits to run.", |r, s| {
        s.one(r.scheduler.oldest_runnable);
    }),
    gauge("heist_overloaded", "1 while what arrives waits too long for a worker.", |r, s| {
        s.one(u64::from(r.scheduler.overloaded));
    }),
    passing_gauge("heist_account_attained_seconds", ATTAINED, |r, s| {
        for (name, attained) in r.attained() {
            s.each(&[("account", &name)], attained);
        }
    }),
    counter("heist_wakeups_total", "Wakes of a worker, by whether it found work.", |r, s| {
        s.each(&[("outcome", "useful")], r.sum(|w| w.useful_wakes));
        s.each(&[("outcome", "empty")], r.sum(|w| w.empty_wakes));
    }),
    counter("heist_rescues_total", RESCUES, |r, s| s.one(r.scheduler.rescues)),
    counter("heist_steals_total", "Attempts to steal from a worker with work.", |r, s| {
        s.each(&[("outcome", "hit")], r.sum(|w| w.steal_hits));
        s.each(&[("outcome", "miss")], r.sum(|w| w.steal_misses));
    }),
    counter("heist_stolen_tasks_total", "Tasks taken from another worker.", |r, s| {
        s.one(r.sum(|w| w.stolen_tasks));
    }),
    gauge("heist_injector_depth", "Tasks woken off the workers that wait to run.", |r, s| {
        s.one(r.scheduler.injector_depth);
    }),
    gauge("heist_tasks_alive", "Tasks that have not ended.", |r, s| s.one(r.scheduler.tasks_alive)),
    counter("heist_tasks_spawned_total", "Tasks spawned.", |r, s| s.one(r.scheduler.tasks_spawned)),
    counter("heist_tasks_refused_total", TASKS_REFUSED, |r, s| s.one(r.scheduler.tasks_refused)),
    counter("heist_task_panics_total", "Panics of tasks.", |r, s| s.one(r.scheduler.task_panics)),
    counter("heist_caught_panics_total", CAUGHT_PANICS, |r, s| s.one(r.scheduler.caught_panics)),
    counter("heist_budget_yields_total", "Polls ended because their budget was spent.", |r, s| {
        s.one(r.sum(|w| w.budget_yields));
    }),
    histogram("heist_task_poll_seconds", "Length of a poll.", |r, s| s.one(&r.scheduler.task_poll)),
    histogram("heist_task_wait_seconds", "From the wake of a task to its poll.", |r, s| {
        s.one(&r.scheduler.task_wait);
    }),
    histogram("heist_express_wait_seconds", EXPRESS_WAIT, |r, s| s.one(&r.scheduler.express_wait)),
    histogram("heist_event_to_run_seconds", EVENT_TO_RUN, |r, s| s.one(&r.scheduler.event_to_run)),
    histogram("heist_event_queue_delay_seconds", QUEUE_DELAY, |r, s| {
        s.one(&r.scheduler.event_queue_delay);
    }),
    counter("heist_event_waits_total", "Waits and polls of the event queue, by kind.", |r, s| {
        s.each(&[("kind", "blocking")], r.sum(|w| w.listens));
        s.each(&[("kind", "polling")], r.sum(|w| w.shard_polls));
    }),
    counter(
        "heist_event_wait_errors_total",
        "Waits and polls of the event queue that failed.",
        |r, s| {
            s.one(r.sum(|w| w.shard_errors));
        },
    ),
    counter("heist_events_total", EVENTS, |r, s| {
        let [all, stale, spurious] =
            [r.sum(|w| w.events), r.sum(|w| w.stale_events), r.sum(|w| w.spurious_events)];
        s.each(&[("kind", "delivered")], all.saturating_sub(stale + spurious));
        s.each(&[("kind", "stale")], stale);
        s.each(&[("kind", "spurious")], spurious);
    }),
    histogram("heist_event_harvest_size", "Events taken at a time.", |r, s| {
        s.one(&r.scheduler.harvest_size);
    }),
    gauge("heist_sources", "Sockets registered with the event queue.", |r, s| s.some(r.sources)),
    gauge("heist_timers", "Timers that are armed.", |r, s| s.one(r.scheduler.timers)),
    counter("heist_timers_refused_total", TIMERS_REFUSED, |r, s| s.one(r.scheduler.timers_refused)),
    histogram("heist_timer_lateness_seconds", "From a deadline to its firing.", |r, s| {
        s.one(&r.scheduler.timer_lateness);
    }),
    gauge("heist_blocking_threads", "Threads for blocking work.", |r, s| {
        s.one(r.scheduler.blocking_threads);
    }),
    gauge("heist_blocking_queue_depth", "Blocking work that waits for a thread.", |r, s| {
        s.one(r.scheduler.blocking_queue_depth);
    }),
    gauge("heist_blocking_oldest_seconds", BLOCKING_OLDEST, |r, s| {
        s.one(r.scheduler.blocking_oldest);
    }),
    histogram("heist_blocking_wait_seconds", BLOCKING_WAIT, |r, s| {
        s.one(&r.scheduler.blocking_wait)
    }),
    counter("heist_blocking_refused_total", BLOCKING_REFUSED, |r, s| {
        s.one(r.scheduler.blocking_refused);
    }),
    gauge("heist_lookup_threads", "Threads for look-ups of names.", |r, s| {
        s.one(r.scheduler.lookup_threads);
    }),
    gauge("heist_lookup_queue_depth", "Look-ups of names that wait for a thread.", |r, s| {
        s.one(r.scheduler.lookup_queue_depth);
    }),
    gauge("heist_lookup_oldest_seconds", LOOKUP_OLDEST, |r, s| s.one(r.scheduler.lookup_oldest)),
    histogram("heist_lookup_wait_seconds", LOOKUP_WAIT, |r, s| s.one(&r.scheduler.lookup_wait)),
    counter("heist_lookup_refused_total", LOOKUP_REFUSED, |r, s| s.one(r.scheduler.lookup_refused)),
];

fn current_poll(worker: &WorkerMetrics, series: &mut Series<'_>) {
    match &worker.current_poll {
        None => series.one(Duration::ZERO),
        Some(poll) if poll.elapsed < LONG_POLL => series.one(poll.elapsed),
        Some(poll) => long_poll(poll, series),
    }
}

fn long_poll(poll: &CurrentPoll, series: &mut Series<'_>) {
    let task = ("task", poll.task.as_str());
    match poll.spawned_at {
        Some(place) => {
            let place = format!("{}:{}", place.file(), place.line());
            series.each(&[task, ("spawned_at", &place)], poll.elapsed);
        }
        None => series.each(&[task], poll.elapsed),
    }
}

/// A poll of this length or longer is named; a shorter one is not worth a look at its task.
const LONG_POLL: Duration = Duration::from_millis(10);

const CURRENT_POLL: &str = "Length so far of the poll under way; from 10 ms on with the task's name and where it was \
     spawned.";
const ATTAINED: &str = "Time that an account took of the workers lately, divided by its weight; of the eight that took \
     most.";
const EXPRESS_BUSY: &str = "Of the time in polls, that of tasks that did not wait behind others.";
const EXPRESS_POLLS: &str = "Of the polls, those of tasks that did not wait behind others.";
const EXPRESS_WAIT: &str = "From the wake of a task that did not wait behind others to its poll.";
const LONG_POLLS: &str =
    "Polls longer than half a millisecond while some were found to block or compute.";
const PREEMPTED: &str =
    "Polls as long at other times: presumably the thread was kept from running.";
const RECOVERIES: &str = "Turns of the worker that panicked, after which it went on with the next.";
const TASKS_REFUSED: &str = "Tasks refused because a bound on live tasks was reached.";
const CAUGHT_PANICS: &str = "Panics of wakers, hooks and sources of events that were caught.";
const RESCUES: &str = "Wakes sent by the monitor because work waited that no worker took.";
const EVENT_TO_RUN: &str = "From the harvest of an event to the poll of the task that it woke.";
const QUEUE_DELAY: &str = "How long a probe waited in the kernel's queue while no worker slept.";
const EVENTS: &str = "Events from the kernel, by kind; stale ones are of closed sockets.";
const TIMERS_REFUSED: &str = "Times a timer had to be armed again because the queue was full.";
const BLOCKING_OLDEST: &str = "How long the oldest of the blocking work that waits has waited.";
const BLOCKING_WAIT: &str = "How long blocking work waited for a thread.";
const BLOCKING_REFUSED: &str = "Blocking work refused because the pool's queue was full.";
const LOOKUP_OLDEST: &str = "How long the oldest of the look-ups that wait has waited.";
const LOOKUP_WAIT: &str = "How long look-ups of names waited for a thread.";
const LOOKUP_REFUSED: &str = "Look-ups of names refused because their queue was full.";
