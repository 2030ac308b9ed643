//! How long an event waits for a worker, the wait in the kernel included.
//!
//! Where polls are long a worker takes one event at a time, and the others wait in the kernel; from
//! wake to run they then take no time. So the monitor sends a *probe* into each shard: a
//! [`Park::wake`](crate::Park::wake), which queues up behind the events. The time until a worker
//! records it is how long an event waits there. A probe is sent only while every worker is busy, when
//! it wakes none, and one at a time.
//!
//! A probe carries no wake permit and sets no flag of `wake`: to that protocol it is a notification
//! without a sender.

use super::codel::OverloadLevel;
use crate::clock::Instant;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// How much overload there is, and the probes by which the monitor finds out.
#[derive(Debug)]
pub(crate) struct Overload {
    /// An [`OverloadLevel`]. Written by the monitor alone. Relaxed: it guards nothing.
    level: AtomicU8,
    shards: Box<[DelayProbe]>,
}

/// The probe of one shard.
#[derive(Debug, Default)]
struct DelayProbe {
    /// When it was sent, in clock nanoseconds; 0 while none is under way. Set by the monitor, which
    /// alone sends one, and cleared by the worker that records it. The store is Release and pairs
    /// with the Acquire in `record`, though the wake itself comes between. The monitor's own accesses
    /// are Relaxed: it reads what it wrote, or that a worker has cleared it.
    sent: AtomicU64,
    /// How long the newest one that was recorded had waited, in nanoseconds. Written by the worker
    /// that recorded it; set to 0 by the monitor when a worker has nothing to do. Relaxed: a
    /// measurement, of which the next look takes the newest.
    waited: AtomicU64,
}

impl Overload {
    pub(crate) fn new(shards: usize) -> Overload {
        Overload {
            level: AtomicU8::new(OverloadLevel::None as u8),
            shards: (0..shards).map(|_| DelayProbe::default()).collect(),
        }
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// What the monitor found last.
    pub(crate) fn level(&self) -> OverloadLevel {
        OverloadLevel::of(self.level.load(Ordering::Relaxed))
    }

    /// By the monitor.
    pub(crate) fn set(&self, level: OverloadLevel) {
        // It lies beside data that workers read at every turn, and mostly it does not change.
        if self.level() != level {
            self.level.store(level as u8, Ordering::Relaxed);
        }
    }

    /// By the monitor: notes that a probe of `shard` leaves `now`. False if one is under way still.
    #[must_use = "a probe that was noted has to be sent"]
    pub(crate) fn send(&self, shard: usize, now: Instant) -> bool {
        let sent = &self.shards[shard].sent;
        let free = sent.load(Ordering::Relaxed) == 0;
        if free {
            sent.store(now.as_nanos().max(1), Ordering::Release);
        }
        free
    }

    /// By a worker that took a wake of `shard`: how long the probe waited, in nanoseconds, if it was
    /// one. Reads the clock only then.
    pub(crate) fn record(&self, shard: usize, now: impl FnOnce() -> Instant) -> Option<u64> {
        let probe = &self.shards[shard];
        match probe.sent.swap(0, Ordering::Acquire) {
            0 => None,
            sent => {
                let waited = now().as_nanos().saturating_sub(sent);
                probe.waited.store(waited, Ordering::Relaxed);
                Some(waited)
            }
        }
    }

    /// How long an event waits for a worker: in the shard where it waits longest, what the newest
    /// probe waited, or waits already.
    pub(crate) fn delay(&self, now: Instant) -> u64 {
        self.shards.iter().map(|probe| probe.delay(now)).max().unwrap_or(0)
    }

    /// By the monitor, when a worker has nothing to do: no shard has a delay. A probe that is still
    /// under way is given up; a worker that takes its wake records nothing.
    pub(crate) fn reset(&self) {
        for probe in &self.shards {
            probe.sent.store(0, Ordering::Relaxed);
            probe.waited.store(0, Ordering::Relaxed);
        }
    }
}

impl DelayProbe {
    fn delay(&self, now: Instant) -> u64 {
        let waits = match self.sent.load(Ordering::Relaxed) {
            0 => 0,
            sent => now.as_nanos().saturating_sub(sent),
        };
        waits.max(self.waited.load(Ordering::Relaxed))
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_probe_under_way_gets_older_and_a_recorded_one_counts_until_the_next() {
        let overload = Overload::new(2);
        assert_eq!(overload.record(0, || unreachable!("it was not sent")), None);
        assert!(overload.send(0, at(10)));
        assert!(!overload.send(0, at(11)), "one at a time");
        assert!(overload.send(1, at(12)));
        assert_eq!(overload.delay(at(30)), 20_000_000);
        assert_eq!(overload.record(0, || at(40)), Some(30_000_000));
        assert_eq!(overload.record(0, || unreachable!("it was recorded")), None);
        assert_eq!(overload.record(1, || at(13)), Some(1_000_000));
        assert!(overload.send(0, at(41)));
        assert_eq!(overload.delay(at(42)), 30_000_000);
        assert_eq!(overload.record(0, || at(43)), Some(2_000_000));
        assert_eq!(overload.delay(at(44)), 2_000_000);
    }

    #[test]
    fn measurements_are_reset_when_a_worker_has_nothing_to_do() {
        let overload = Overload::new(2);
        assert!(overload.send(0, at(1)) && overload.send(1, at(1)));
        assert_eq!(overload.record(0, || at(9)), Some(8_000_000));
        overload.reset();
        assert_eq!(overload.delay(at(100)), 0);
        assert_eq!(overload.record(1, || unreachable!("it was given up")), None);
    }
}
