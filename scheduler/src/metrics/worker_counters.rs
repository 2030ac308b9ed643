//! The counters of one worker, on cache lines that it alone writes.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::Counter;
use crate::park::Harvest;

/// What one worker has counted since it started; [`WorkerMetrics`](super::WorkerMetrics) says what each
/// counter means.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounters {
    pub(crate) listens: Counter,
    pub(crate) parks: Counter,
    pub(crate) shard_polls: Counter,
    pub(crate) events: Counter,
    pub(crate) stale_events: Counter,
    pub(crate) spurious_events: Counter,
    pub(crate) useful_wakes: Counter,
    pub(crate) empty_wakes: Counter,
    pub(crate) steal_hits: Counter,
    pub(crate) steal_misses: Counter,
    pub(crate) stolen_tasks: Counter,
    /// Shared with the worker's `PollContext`, which counts them. Padded, as it is allocated by itself.
    pub(crate) budget_yields: Arc<CachePadded<Counter>>,
    pub(crate) timers_fired: Counter,
    pub(crate) shard_errors: Counter,
    pub(crate) long_polls: Counter,
    pub(crate) preempted_polls: Counter,
    pub(crate) recoveries: Counter,
    /// Nanoseconds in polls of tasks from the express queue.
    pub(crate) express_busy: Counter,
}

impl WorkerCounters {
    /// Adds the events of one harvest.
    pub(crate) fn took(&self, harvest: Harvest) {
        self.events.add(harvest.events as u64);
        self.stale_events.add(harvest.stale as u64);
        self.spurious_events.add(harvest.spurious as u64);
    }
}
