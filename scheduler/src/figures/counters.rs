//! What a worker counts, on lines that it alone writes.

use super::Count;
use crate::park::Harvest;

/// Events of one worker since it started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) listens: Count,
    pub(crate) parks: Count,
    pub(crate) lane_polls: Count,
    pub(crate) events: Count,
    pub(crate) stale_events: Count,
    pub(crate) spurious_events: Count,
    pub(crate) useful_wakes: Count,
    pub(crate) empty_wakes: Count,
    pub(crate) steal_hits: Count,
    pub(crate) steal_misses: Count,
    pub(crate) stolen_tasks: Count,
    pub(crate) budget_yields: Count,
    pub(crate) timers_fired: Count,
    pub(crate) lane_errors: Count,
    pub(crate) long_polls: Count,
    pub(crate) preempted_polls: Count,
    pub(crate) recoveries: Count,
}

impl Counters {
    pub(crate) fn took(&self, harvest: Harvest) {
        self.events.add(harvest.events as u64);
        self.stale_events.add(harvest.stale as u64);
        self.spurious_events.add(harvest.spurious as u64);
    }
}
