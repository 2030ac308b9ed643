//! What makes tasks runnable: timers that are due, and events of the shards.

use std::io;
use std::sync::Arc;

use super::{TIMERS_AT_ONCE, Worker};
use crate::clock::Instant;
use crate::panics;
use crate::park::Harvest;
use crate::worker::context::WakeSource;
use crate::worker::worker_shared::{WorkerShared, due};

impl Worker {
    pub(super) fn fire_timers(&mut self) {
        let now = self.now();
        if due(&self.own.timers, now) || due(&self.runtime.shared_timers, now) {
            self.fire_due_timers(now);
        }
    }

    #[cold]
    fn fire_due_timers(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        for timers in [&self.own.timers, &shared.context.shared_timers].map(Arc::clone) {
            let fired = timers.advance(now, TIMERS_AT_ONCE, &mut self.wakers);
            self.own.counters.timers_fired.add(fired as u64);
        }
        self.dispatch(WakeSource::Timers);
    }

    /// Calls the wakers of a batch: their tasks go to the deque, then one decision is made.
    pub(super) fn dispatch(&mut self, wake_source: WakeSource) {
        if self.wakers.is_empty() {
            return;
        }
        self.end_batch();
        self.context.wake_source.set(wake_source);
        panics::wake_all(self.wakers.drain(..));
        self.context.wake_source.set(WakeSource::RunningTask);
        self.shared.notify_if_idle(self.context.batch());
    }

    /// Counts what a look into a shard brought.
    pub(super) fn took(&self, shard: usize, harvest: io::Result<Harvest>) {
        let WorkerShared { counters, histograms, .. } = &**self.own;
        let harvest = harvest.unwrap_or_else(|error| {
            counters.shard_errors.add(1);
            panics::log(|| tracing::error!(%error, "waiting for events failed"));
            Harvest::default()
        });
        counters.took(harvest);
        if harvest.events > 0 {
            histograms.harvest.record(harvest.events as u64);
        }
        if harvest.woken
            && let Some(waited) = self.shared.overload.record(shard, || self.runtime.clock.now())
        {
            histograms.probe.record(waited);
        }
    }

    pub(super) fn harvest_bound(&self) -> usize {
        self.estimate().harvest_bound(self.shared.workers.len())
    }
}
