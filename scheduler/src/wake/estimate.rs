//! A worker's estimate of one poll, and the numbers by which work is worth a wake.
//!
//! Waking a worker costs microseconds, and a short handler costs less. So each decision asks how
//! much *time* waits, not how many tasks: `queued × h` against [`WORTH_A_WAKE`], where `h` is the
//! worker's own estimate of one poll.

use std::time::Duration;

use crate::clock::nanos;

/// `T`: waiting work that is worth waking a worker for.
pub(crate) const WORTH_A_WAKE: Duration = Duration::from_micros(50);
/// Events taken from a shard at once, at most.
pub(crate) const HARVEST_MAX: usize = 64;

const T: u64 = nanos(WORTH_A_WAKE);
/// An estimate never falls below this, so that a very long queue of empty polls is still shared.
const FLOOR: u64 = 200;

/// A worker's estimate of one poll, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Estimate(u64);

impl Estimate {
    /// Before any poll was measured: `T`, so that a second queued task is worth a wake.
    pub(crate) const START: Estimate = Estimate(T);

    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Estimate(nanos.max(FLOOR))
    }

    pub(crate) fn as_nanos(self) -> u64 {
        self.0
    }

    /// Rises at once to a poll longer than `T`. The caller decides which of those count.
    #[must_use]
    pub(crate) fn saw_poll(self, length: u64) -> Self {
        if length > T { Estimate(self.0.max(length)) } else { self }
    }

    /// Falls by an eighth of the way to what the polls of a batch took on average.
    #[must_use]
    pub(crate) fn saw_batch(self, polls: u32, time: u64) -> Self {
        let average = time / u64::from(polls.max(1));
        Estimate(self.0 - self.0.saturating_sub(average.max(FLOOR)).div_ceil(8))
    }

    /// Whether `queued` polls take longer than `T`.
    pub(crate) fn worth_a_wake(self, queued: usize) -> bool {
        (queued as u64).saturating_mul(self.0) > T
    }

    /// How many events to take at once. Other workers can take what stays in the kernel, if there
    /// are any.
    pub(crate) fn harvest_bound(self, workers: usize) -> usize {
        if workers == 1 { HARVEST_MAX } else { self.harvest() }
    }

    fn harvest(self) -> usize {
        usize::try_from(T / self.0).unwrap_or(HARVEST_MAX).clamp(1, HARVEST_MAX)
    }

    /// How many of `waiting` tasks to take from where all of `workers` may take them.
    ///
    /// As many as events, or half of a fair share where that is more: enough are left for the idle
    /// workers then, while taking each task by itself costs as much as a short poll.
    pub(crate) fn share(self, waiting: usize, workers: usize) -> usize {
        self.harvest().max(waiting / (2 * workers.max(1))).min(HARVEST_MAX)
    }

    /// How many idle workers may listen, the others being parked; at least `least`.
    ///
    /// With polls longer than `T` all of them. With shorter ones an event that comes while a listener
    /// is busy waits no longer than `T`, and each further listener is woken by an event of its own.
    /// So it is the square: of 64 workers and polls of a tenth of `T` one listens, not six.
    pub(super) fn listener_cap(self, workers: usize, least: usize) -> usize {
        let wanted = (workers as u64).saturating_mul(self.0) / T;
        let wanted = wanted.saturating_mul(self.0.min(T)) / T;
        usize::try_from(wanted).unwrap_or(workers).clamp(least.min(workers), workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_estimate_takes_one_event_and_lets_all_workers_listen() {
        assert_eq!(Estimate::START.harvest(), 1);
        assert_eq!(Estimate::START.listener_cap(16, 1), 16);
        assert!(!Estimate::START.worth_a_wake(1));
        assert!(Estimate::START.worth_a_wake(2));
    }

    #[test]
    fn short_polls_bring_the_estimate_down_and_one_long_poll_brings_it_up() {
        let mut h = Estimate::START;
        for _ in 0..64 {
            h = h.saw_batch(16, 16 * 3_000);
        }
        assert!(h.as_nanos() < 4_000, "{h:?}");
        assert_eq!(h.listener_cap(16, 1), 1);
        assert_eq!(h.listener_cap(64, 1), 1);
        assert_eq!(Estimate::from_nanos(25_000).listener_cap(64, 1), 16);
        assert!(h.harvest() >= 12);
        assert!(!h.worth_a_wake(10));
        let h = h.saw_poll(5_000_000);
        assert_eq!(h.as_nanos(), 5_000_000);
        assert!(h.worth_a_wake(1));
        assert_eq!(h.harvest(), 1);
    }

    /// Failure: what a long poll had spawned was stolen one by one.
    #[test]
    fn long_polls_share_out_one_by_one_unless_there_are_many() {
        let long = Estimate::from_nanos(5_000_000);
        assert_eq!(long.share(3, 2), 1);
        assert_eq!(long.share(64, 16), 2);
        assert_eq!(long.share(5_000, 2), HARVEST_MAX);
        assert_eq!(Estimate::from_nanos(10_000).share(3, 2), 5);
    }

    #[test]
    fn nothing_overflows_and_nothing_divides_by_zero() {
        let h = Estimate::from_nanos(u64::MAX);
        assert!(h.worth_a_wake(usize::MAX));
        assert_eq!(h.harvest(), 1);
        assert_eq!(h.listener_cap(1 << 20, 1), 1 << 20);
        assert_eq!(Estimate::from_nanos(0).saw_batch(0, 0).as_nanos(), FLOOR);
    }
}
