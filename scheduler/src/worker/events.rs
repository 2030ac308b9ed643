//! What makes tasks runnable: timers that are due, and events of the shards.

use std::io;
use std::sync::Arc;

use super::{TIMERS_AT_ONCE, Worker};
use crate::clock::Instant;
use crate::panics;
use crate::park::Harvest;
use crate::wake::policy::Trigger;
use crate::worker::context::WakeSource;
use crate::worker::full_harvests::FullHarvests;
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

    /// Takes note of what a look into a shard brought, which was at most `bound` events.
    pub(super) fn took(&mut self, shard: usize, bound: usize, harvest: io::Result<Harvest>) {
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
        if self.full_harvests.saw(harvest.events >= bound) {
            self.ask_for_help();
        }
    }

    /// Wakes another worker for what is left in the kernel.
    #[cold]
    fn ask_for_help(&mut self) {
        let is_woken = self.shared.notify_if_idle(Trigger::FullHarvests);
        if !is_woken && self.shared.sleep.idle().all() > 0 {
            // Nothing was left. A worker that takes one event at a time would look after each of them.
            self.full_harvests = FullHarvests::default();
        }
    }

    pub(super) fn harvest_bound(&self) -> usize {
        self.estimate().harvest_bound(self.shared.workers.len())
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::task::Waker;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::context::RuntimeRef;
    use crate::park::Park;
    use crate::task::TaskRegistry;
    use crate::wake::ParkKind;
    use crate::worker::full_harvests::FULL_HARVESTS;
    use crate::worker::shared::Shared;
    use crate::worker::shared::tests::on_park;
    use crate::worker::{Turn, WorkerParts};

    /// A shard with events for ever. Their tasks do nothing.
    #[derive(Default)]
    struct Crowd {
        harvests: AtomicUsize,
        looks: AtomicUsize,
        /// The shard is empty behind each harvest.
        is_short: AtomicBool,
    }

    impl Park for Crowd {
        fn shards(&self) -> usize {
            1
        }

        fn max_waiters(&self) -> usize {
            usize::MAX
        }

        fn poll(&self, _: usize, bound: usize, out: &mut Vec<Waker>) -> io::Result<Harvest> {
            self.harvests.fetch_add(1, Ordering::Relaxed);
            out.extend((0..bound).map(|_| Waker::noop().clone()));
            Ok(Harvest { events: bound, ..Harvest::default() })
        }

        fn listen(
            &self,
            shard: usize,
            bound: usize,
            _: Option<Duration>,
            out: &mut Vec<Waker>,
        ) -> io::Result<Harvest> {
            self.poll(shard, bound, out)
        }

        fn wake(&self, _: usize) {}

        fn ready(&self, _: usize) -> bool {
            self.looks.fetch_add(1, Ordering::Relaxed);
            !self.is_short.load(Ordering::Relaxed)
        }

        fn close(&self) -> Vec<Waker> {
            Vec::new()
        }
    }

    /// The first of two workers on as many CPUs. The second is parked.
    fn beside_a_parked_worker(crowd: &Arc<Crowd>, cpus: usize) -> (Worker, Arc<Shared>) {
        let (locals, queues): (Vec<_>, Vec<_>) = (0..2).map(|_| crate::queue::queue()).unzip();
        let park = Arc::clone(crowd) as Arc<dyn Park>;
        let mut shared = on_park(park, Clock::manual().0, queues);
        shared.cpus = cpus;
        let shared = Arc::new(shared);
        let listening = shared.sleep.announce(0, 1);
        assert_eq!(shared.sleep.announce(1, 1), ParkKind::Parked);
        assert!(!shared.sleep.leave(0, listening));
        let runtime = RuntimeRef::new(Arc::clone(&shared.context), Arc::new(()));
        let registry = TaskRegistry::new(0, 1, Arc::clone(&shared) as _);
        let queue = locals.into_iter().next().unwrap();
        let parts = WorkerParts { shared: Arc::clone(&shared), registry, index: 0, queue, seed: 0 };
        (Worker::new(runtime, parts), shared)
    }

    fn harvest(worker: &mut Worker, count: u32) {
        for _ in 0..count {
            assert_eq!(worker.turn(), Turn::Parked);
        }
    }

    /// Failure: a worker took as many events as it does in `T`, again and again. The rest stood in the kernel
    /// while the other worker and half of a CPU were idle.
    #[test]
    fn worker_that_does_not_keep_up_with_the_kernel_is_helped() {
        let crowd = Arc::new(Crowd::default());
        let (mut worker, shared) = beside_a_parked_worker(&crowd, 2);
        harvest(&mut worker, FULL_HARVESTS - 1);
        assert_eq!(shared.sleep.idle().parked(), 1, "it may have been a burst");
        harvest(&mut worker, 1);
        assert_eq!(shared.sleep.idle().parked(), 0);
        assert_eq!(crowd.harvests.load(Ordering::Relaxed), FULL_HARVESTS as usize);
    }

    #[test]
    fn worker_that_keeps_up_is_not_helped() {
        let crowd = Arc::new(Crowd::default());
        crowd.is_short.store(true, Ordering::Relaxed);
        let (mut worker, shared) = beside_a_parked_worker(&crowd, 2);
        harvest(&mut worker, 2 * FULL_HARVESTS);
        assert_eq!(shared.sleep.idle().parked(), 1);
        assert_eq!(crowd.looks.load(Ordering::Relaxed), 2, "not after each event");
    }

    #[test]
    fn worker_without_a_cpu_is_left_asleep() {
        let (mut worker, shared) = beside_a_parked_worker(&Arc::default(), 1);
        harvest(&mut worker, 2 * FULL_HARVESTS);
        assert_eq!(shared.sleep.idle().parked(), 1);
    }
}
