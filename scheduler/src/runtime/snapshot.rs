//! Reads what a runtime does now and has done so far.

use std::time::Duration;

use super::handle::{Handle, Inner};
use crate::blocking::Kind;
use crate::clock::Instant;
use crate::fair;
use crate::metrics::{
    AccountLoad, CurrentPoll, Histogram, HistogramSnapshot, Metrics, Scale, WorkerMetrics,
};
use crate::monitor::OverloadLevel;
use crate::worker::worker_shared::WorkerShared;

impl Handle {
    /// What the runtime does now and has done so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.0)
    }
}

impl Metrics {
    pub(super) fn of(inner: &Inner) -> Self {
        let shared = &inner.shared;
        let now = shared.context.clock.now();
        let idle = shared.sleep.idle();
        let blocking = inner.blocking.load(Kind::Work, now);
        let lookups = inner.blocking.load(Kind::Lookup, now);
        let registries = || inner.registries.iter().chain([&inner.blocking_registry]);
        let queues = || {
            shared.workers.iter().map(|worker| &worker.timers).chain([&inner.context.shared_timers])
        };
        let each = || shared.workers.iter().map(|worker| &worker.histograms);
        Metrics {
            workers: shared.workers.iter().map(|w| WorkerMetrics::of(w, inner, now)).collect(),
            listening: idle.listening(),
            parked: idle.parked(),
            injector_depth: shared.injector.len(),
            oldest_runnable: Duration::from_nanos(shared.oldest_runnable(now)),
            rescues: shared.monitor.rescues.get(),
            overloaded: shared.overload_level() > OverloadLevel::None,
            tasks_alive: registries().map(|registry| registry.alive()).sum(),
            tasks_spawned: registries().map(|registry| registry.spawned()).sum(),
            task_panics: registries().map(|registry| registry.panics()).sum(),
            caught_panics: inner.context.caught_panics.get(),
            tasks_refused: inner.registries.iter().map(|registry| registry.refused()).sum(),
            timers: queues().map(|queue| queue.len()).sum(),
            timers_refused: queues().map(|queue| queue.refused()).sum(),
            blocking_threads: blocking.threads,
            blocking_queue_depth: blocking.queued,
            blocking_refused: blocking.refused,
            blocking_oldest: Duration::from_nanos(blocking.oldest_nanos),
            lookup_threads: lookups.threads,
            lookup_queue_depth: lookups.queued,
            lookup_refused: lookups.refused,
            lookup_oldest: Duration::from_nanos(lookups.oldest_nanos),
            heaviest_accounts: heaviest_accounts(inner, now),
            task_poll: sum(Scale::Time, each().map(|worker| &worker.task_poll)),
            task_wait: sum(Scale::Time, each().flat_map(|worker| worker.waits())),
            express_wait: sum(Scale::Time, each().flat_map(|worker| worker.express_waits())),
            event_to_run: sum(Scale::Time, each().flat_map(|worker| worker.event_waits())),
            event_queue_delay: sum(Scale::Time, each().map(|worker| &worker.probe)),
            harvest_size: sum(Scale::Number, each().map(|worker| &worker.harvest)),
            timer_lateness: sum(Scale::Time, queues().map(|queue| queue.lateness())),
            blocking_wait: sum(Scale::Time, [inner.blocking.wait(Kind::Work)]),
            lookup_wait: sum(Scale::Time, [inner.blocking.wait(Kind::Lookup)]),
        }
    }
}

fn heaviest_accounts(inner: &Inner, now: Instant) -> Vec<AccountLoad> {
    let workers = inner.shared.workers.iter().map(|worker| &worker.attained);
    fair::heaviest(workers, now, HEAVIEST_ACCOUNTS).into_iter().map(AccountLoad::new).collect()
}

fn sum<'a>(scale: Scale, histograms: impl IntoIterator<Item = &'a Histogram>) -> HistogramSnapshot {
    let mut sum = HistogramSnapshot::new(scale);
    histograms.into_iter().for_each(|histogram| sum.add(histogram));
    sum
}

impl WorkerMetrics {
    fn of(worker: &WorkerShared, inner: &Inner, now: Instant) -> Self {
        let counters = &worker.counters;
        WorkerMetrics {
            polls: worker.histograms.polls(),
            busy: worker.histograms.busy(),
            express_polls: worker.histograms.express_waits().iter().map(|wait| wait.count()).sum(),
            express_busy: Duration::from_nanos(counters.express_busy.get()),
            listens: counters.listens.get(),
            parks: counters.parks.get(),
            shard_polls: counters.shard_polls.get(),
            events: counters.events.get(),
            stale_events: counters.stale_events.get(),
            spurious_events: counters.spurious_events.get(),
            useful_wakes: counters.useful_wakes.get(),
            empty_wakes: counters.empty_wakes.get(),
            steal_hits: counters.steal_hits.get(),
            steal_misses: counters.steal_misses.get(),
            stolen_tasks: counters.stolen_tasks.get(),
            budget_yields: counters.budget_yields.get(),
            timers_fired: counters.timers_fired.get(),
            shard_errors: counters.shard_errors.get(),
            long_polls: counters.long_polls.get(),
            preempted_polls: counters.preempted_polls.get(),
            recoveries: counters.recoveries.get(),
            queue_depth: worker.queue.len(),
            estimate: Duration::from_nanos(worker.estimate().as_nanos()),
            current_poll: worker
                .current_poll(now)
                .map(|(address, elapsed)| CurrentPoll::of(address, elapsed, inner)),
        }
    }
}

impl CurrentPoll {
    fn of(address: u64, elapsed: u64, inner: &Inner) -> Self {
        let (registry, key) = ((address >> 32) as usize, address as u32);
        let main = inner.current_thread.as_ref().and_then(|current| current.registry(registry));
        let registry = inner.registries.get(registry).or(main);
        let info = registry.and_then(|registry| registry.spawn_info(key));
        CurrentPoll {
            elapsed: Duration::from_nanos(elapsed),
            task: info.as_ref().map_or("ended", |info| info.name()).to_owned(),
            spawned_at: info.map(|info| info.location),
        }
    }
}

/// How many accounts a snapshot names.
const HEAVIEST_ACCOUNTS: usize = 8;
