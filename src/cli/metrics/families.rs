//! The runtime's figures as metrics: name, label, meaning, and where the value is read.

use heist::{Metrics, WorkerMetrics};
use metrics::Label;

/// One series of the page for each runtime or worker.
pub(super) struct Family<T> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) label: Option<(&'static str, &'static str)>,
    pub(super) help: &'static str,
    pub(super) value: fn(&T) -> f64,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// Says once what each of them means.
pub(super) fn describe() {
    RUNTIME.iter().for_each(Family::describe);
    WORKER.iter().for_each(Family::describe);
}

/// Sets each of them to what the runtime says.
pub(super) fn publish(figures: &Metrics) {
    for family in RUNTIME {
        family.publish(figures);
    }
    for (index, worker) in figures.workers.iter().enumerate() {
        for family in WORKER {
            let mut labels = family.labels();
            labels.push(Label::new("worker", index.to_string()));
            family.set(labels, (family.value)(worker));
        }
    }
}

const fn counter<T>(
    name: &'static str,
    label: Option<(&'static str, &'static str)>,
    help: &'static str,
    value: fn(&T) -> f64,
) -> Family<T> {
    Family { name, kind: Kind::Counter, label, help, value }
}

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> f64) -> Family<T> {
    Family { name, kind: Kind::Gauge, label: None, help, value }
}

fn sum(figures: &Metrics, value: impl Fn(&WorkerMetrics) -> u64) -> f64 {
    figures.workers.iter().map(value).sum::<u64>() as f64
}

const PARKS: &str = "Times a worker waited, by where.";
const WAKEUPS: &str = "Wakes of a worker, by whether it found work.";
const STEALS: &str = "Attempts to steal.";
const EVENTS: &str = "Events taken from the kernel; stale ones are of closed sockets.";
const WAITS: &str = "Looks into the event queue, by whether they could wait.";

const WORKER: &[Family<WorkerMetrics>] = &[
    counter("heist_worker_polls_total", None, "Tasks polled.", |w| w.polls as f64),
    counter("heist_worker_parks_total", Some(("where", "kernel")), PARKS, |w| w.listens as f64),
    counter("heist_worker_parks_total", Some(("where", "parked")), PARKS, |w| w.parks as f64),
    gauge("heist_worker_queue_depth", "Tasks in the worker's deque.", |w| w.queue_depth as f64),
    gauge("heist_worker_current_poll_seconds", "Length so far of the poll under way.", |w| {
        w.current_poll.as_ref().map_or(0.0, |poll| poll.elapsed.as_secs_f64())
    }),
];

const RUNTIME: &[Family<Metrics>] = &[
    gauge("heist_workers", "Worker threads.", |m| m.workers.len() as f64),
    counter("heist_wakeups_total", Some(("outcome", "useful")), WAKEUPS, |m| {
        sum(m, |w| w.useful_wakes)
    }),
    counter("heist_wakeups_total", Some(("outcome", "empty")), WAKEUPS, |m| {
        sum(m, |w| w.empty_wakes)
    }),
    counter("heist_steals_total", Some(("outcome", "hit")), STEALS, |m| sum(m, |w| w.steal_hits)),
    counter("heist_steals_total", Some(("outcome", "miss")), STEALS, |m| {
        sum(m, |w| w.steal_misses)
    }),
    counter("heist_stolen_tasks_total", None, "Tasks stolen.", |m| sum(m, |w| w.stolen_tasks)),
    counter("heist_budget_yields_total", None, "Polls that spent their budget.", |m| {
        sum(m, |w| w.budget_yields)
    }),
    counter("heist_events_total", Some(("kind", "delivered")), EVENTS, |m| {
        sum(m, |w| w.events.saturating_sub(w.stale_events + w.spurious_events))
    }),
    counter("heist_events_total", Some(("kind", "stale")), EVENTS, |m| sum(m, |w| w.stale_events)),
    counter("heist_events_total", Some(("kind", "spurious")), EVENTS, |m| {
        sum(m, |w| w.spurious_events)
    }),
    counter("heist_event_waits_total", Some(("kind", "blocking")), WAITS, |m| {
        sum(m, |w| w.listens)
    }),
    counter("heist_event_waits_total", Some(("kind", "polling")), WAITS, |m| {
        sum(m, |w| w.lane_polls)
    }),
    gauge("heist_injector_depth", "Tasks woken off the workers that wait.", |m| {
        m.injector_depth as f64
    }),
    gauge("heist_tasks_alive", "Tasks that have not ended.", |m| m.tasks_alive as f64),
    counter("heist_tasks_spawned_total", None, "Tasks spawned.", |m| m.tasks_spawned as f64),
    counter("heist_task_panics_total", None, "Panics of tasks.", |m| m.task_panics as f64),
    gauge("heist_timers", "Timers that are armed.", |m| m.timers as f64),
    gauge("heist_blocking_threads", "Threads for blocking work.", |m| m.blocking_threads as f64),
    gauge("heist_blocking_queue_depth", "Blocking work that waits for a thread.", |m| {
        m.blocking_queue_depth as f64
    }),
];
