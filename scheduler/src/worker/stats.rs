//! What a worker learns from the lengths of its polls.

use crate::clock::{Instant, nanos};
use crate::monitor::LONG_POLL;
use crate::wake::estimate::WORTH_A_WAKE;
use crate::wake::policy::Snapshot;
use crate::worker::shared::Shared;
use crate::worker::worker_shared::WorkerShared;

#[derive(Debug, Default)]
pub(crate) struct PollStats {
    /// Polls since the estimate last fell, and the time they took in nanoseconds.
    batch: (u32, u64),
    history: LongPollHistory,
}

impl PollStats {
    /// Takes note of a poll that took `length` and ended `now`. Returns whether it was so long that
    /// what waits behind it may be worth a wake.
    #[inline]
    pub(crate) fn saw_poll(
        &mut self,
        shared: &Shared,
        own: &WorkerShared,
        now: Instant,
        length: u64,
    ) -> bool {
        own.histograms.task_poll.record(length);
        self.batch.0 += 1;
        self.batch.1 += length;
        self.history.saw_poll(length);
        if self.batch.0 >= BATCH_MAX {
            self.end_batch(own);
        }
        if length <= nanos(WORTH_A_WAKE) {
            return false;
        }
        if self.says_something(shared, own, now, length) {
            own.set_estimate(own.estimate().saw_poll(length));
        }
        true
    }

    /// Lets the estimate fall by what the polls since the last call took.
    pub(crate) fn end_batch(&mut self, own: &WorkerShared) {
        let (polls, time) = std::mem::take(&mut self.batch);
        if polls > 0 {
            own.set_estimate(own.estimate().saw_batch(polls, time));
        }
    }

    /// Whether a poll longer than `T` says something about the next ones. While long polls are being
    /// seen each is one of those; otherwise one alone was presumably preempted.
    fn says_something(
        &self,
        shared: &Shared,
        own: &WorkerShared,
        now: Instant,
        length: u64,
    ) -> bool {
        let long_poll_mode = shared.monitor.in_long_poll_mode(now);
        if length > nanos(LONG_POLL) {
            if long_poll_mode {
                own.counters.long_polls.add(1);
            } else {
                own.counters.preempted_polls.add(1);
                shared.monitor.begin_probation(now);
                if !own.queue.is_empty() || shared.uncovered_shard_is_ready() {
                    shared.monitor.begin_suspicion(now);
                }
            }
        }
        long_poll_mode && length > nanos(LONG_POLL) || self.history.repeats()
    }
}

/// Which of a worker's last 16 polls took longer than [`WORTH_A_WAKE`], the newest in the lowest bit.
///
/// Where threads outnumber CPUs about one short poll in a hundred is preempted for longer than `T`
/// (65 to 524 µs: 4,400 of 445,000 with 16 workers on 2 CPUs). An estimate that rose to each would
/// wake other workers, which preempt more polls. Handlers that take as long do so again.
#[derive(Clone, Copy, Debug, Default)]
struct LongPollHistory(u16);

impl LongPollHistory {
    #[inline]
    fn saw_poll(&mut self, length: u64) {
        self.0 = self.0 << 1 | u16::from(length > nanos(WORTH_A_WAKE));
    }

    /// Whether the poll seen last is not the only long one.
    fn repeats(self) -> bool {
        self.0.count_ones() > 1
    }
}

/// Polls after which the estimate falls where neither an event nor a rest ends their batch before.
const BATCH_MAX: u32 = 61;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::wake::estimate::Estimate;
    use crate::worker::shared::tests::of_one_worker;

    /// Failure: tasks that only ever yield bring no events and leave no worker idle, so the estimate stood
    /// where it was, and tasks from outside were taken one by one between 61 of theirs.
    #[test]
    fn short_polls_are_learnt_from_without_an_event_or_a_rest() {
        let shared = of_one_worker(Clock::manual().0);
        let (own, mut stats) = (&shared.workers[0], PollStats::default());
        assert_eq!(own.estimate(), Estimate::START);
        for _ in 0..10_000 {
            assert!(!stats.saw_poll(&shared, own, Instant::ZERO, 300));
        }
        assert!(own.estimate().as_nanos() < 400, "{:?}", own.estimate());
    }

    /// Failure: a monitor that looked for more of each preempted poll woke in half of the gaps at 200 requests a
    /// second.
    #[test]
    fn long_poll_is_suspicious_where_work_waits_behind_it() {
        let shared = of_one_worker(Clock::manual().0);
        let (own, mut stats) = (&shared.workers[0], PollStats::default());
        let mut sees_at = |now| stats.saw_poll(&shared, own, now, 5_000_000);
        let now = Instant::from_nanos(1_000_000_000);
        assert!(sees_at(now));
        assert!(!shared.monitor.in_suspicion(now));
        // An event that no worker listens for.
        shared.park.wake(0);
        assert!(sees_at(now));
        assert!(shared.monitor.in_suspicion(now));
    }

    /// Estimates that rose to each preempted poll kept 16 workers on 2 CPUs waking each other.
    #[test]
    fn one_long_poll_among_many_short_ones_is_noise_and_two_are_not() {
        let mut history = LongPollHistory::default();
        for _ in 0..1_000 {
            history.saw_poll(200_000);
            assert!(!history.repeats());
            (0..15).for_each(|_| history.saw_poll(3_000));
        }
        history.saw_poll(200_000);
        (0..14).for_each(|_| history.saw_poll(3_000));
        history.saw_poll(200_000);
        assert!(history.repeats());
    }
}
