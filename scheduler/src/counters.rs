//! What a worker counts, on lines that it alone writes.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count with one writer: no read-modify-write, so it costs a load and a store.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// To be called by the owner alone.
    pub(crate) fn add(&self, amount: u64) {
        // Relaxed: a statistic; nothing is published by it.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Events of one worker since it started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) polls: Count,
    pub(crate) busy_nanos: Count,
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
}
