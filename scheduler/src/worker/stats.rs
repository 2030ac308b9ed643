//! What a worker learns from the lengths of its polls.

use crate::clock::Instant;
use crate::wake::estimate::{BATCH_MAX, LONG_POLL, Recent, WORTH_A_WAKE, nanos};
use crate::worker::shared::{Core, Remote};

#[derive(Debug, Default)]
pub(crate) struct Lessons {
    /// Polls since the estimate last fell, and the time they took in nanoseconds.
    batch: (u32, u64),
    recent: Recent,
}

impl Lessons {
    /// Takes note of a poll that took `length` and ended `now`. Returns whether it was so long that
    /// what waits behind it may be worth a wake.
    #[inline]
    pub(crate) fn saw_poll(
        &mut self,
        core: &Core,
        remote: &Remote,
        now: Instant,
        length: u64,
    ) -> bool {
        remote.distributions.task_poll.record(length);
        self.batch.0 += 1;
        self.batch.1 += length;
        self.recent.saw_poll(length);
        if self.batch.0 >= BATCH_MAX {
            self.end_batch(remote);
        }
        if length <= nanos(WORTH_A_WAKE) {
            return false;
        }
        if self.says_something(core, remote, now, length) {
            remote.set_estimate(remote.estimate().saw_poll(length));
        }
        true
    }

    /// Lets the estimate fall by what the polls since the last call took.
    pub(crate) fn end_batch(&mut self, remote: &Remote) {
        let (polls, time) = std::mem::take(&mut self.batch);
        if polls > 0 {
            remote.set_estimate(remote.estimate().saw_batch(polls, time));
        }
    }

    /// Whether a poll longer than `T` says something about the next ones. While long polls are being
    /// seen each is one of those; otherwise one alone was presumably preempted.
    fn says_something(&self, core: &Core, remote: &Remote, now: Instant, length: u64) -> bool {
        let alerted = core.watch.alerted(now);
        if length > nanos(LONG_POLL) {
            if alerted {
                remote.counters.long_polls.add(1);
            } else {
                remote.counters.preempted_polls.add(1);
                core.watch.suspect(now);
            }
        }
        alerted && length > nanos(LONG_POLL) || self.recent.repeats()
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::wake::estimate::Estimate;
    use crate::worker::shared::tests::of_one_worker;

    /// Failure: tasks that only ever yield bring no events and let nobody rest, so the estimate stood
    /// where it was, and tasks from outside were taken one by one between 61 of theirs.
    #[test]
    fn short_polls_are_learnt_from_without_an_event_or_a_rest() {
        let core = of_one_worker(Clock::manual().0);
        let (remote, mut lessons) = (&core.workers[0], Lessons::default());
        assert_eq!(remote.estimate(), Estimate::START);
        for _ in 0..10_000 {
            assert!(!lessons.saw_poll(&core, remote, Instant::ZERO, 300));
        }
        assert!(remote.estimate().as_nanos() < 400, "{:?}", remote.estimate());
    }
}
