//! The histograms of one worker, on cache lines that it alone writes.

use std::time::Duration;

use super::{Histogram, Scale};

/// Histograms of one worker.
#[derive(Debug)]
pub(crate) struct WorkerHistograms {
    /// Length of each poll. Its count and sum are the worker's polls and busy time, which are
    /// therefore counted nowhere else.
    pub(crate) task_poll: Histogram,
    /// From the harvest to the run, of tasks that an event woke.
    pub(crate) event_wait: Histogram,
    /// From the wake to the run, of all others.
    pub(crate) other_wait: Histogram,
    /// The same two of tasks from the express queue: a run is recorded in one of the four.
    pub(crate) express_event_wait: Histogram,
    pub(crate) express_other_wait: Histogram,
    /// Events that one poll of a shard returned, where it returned any.
    pub(crate) harvest: Histogram,
    /// How long a probe waited in its shard until this worker received it.
    pub(crate) probe: Histogram,
}

impl WorkerHistograms {
    pub(crate) fn new() -> WorkerHistograms {
        let time = || Histogram::new(Scale::Time);
        WorkerHistograms {
            task_poll: time(),
            event_wait: time(),
            other_wait: time(),
            express_event_wait: time(),
            express_other_wait: time(),
            harvest: Histogram::new(Scale::Number),
            probe: time(),
        }
    }

    /// A task that was woken `waited` nanoseconds ago, by an event or not, begins to run.
    #[inline]
    pub(crate) fn runs(&self, waited: u64, by_event: bool, is_express: bool) {
        let histogram = match (is_express, by_event) {
            (false, true) => &self.event_wait,
            (false, false) => &self.other_wait,
            (true, true) => &self.express_event_wait,
            (true, false) => &self.express_other_wait,
        };
        histogram.record(waited);
    }

    /// Waits of tasks that an event woke.
    pub(crate) fn event_waits(&self) -> [&Histogram; 2] {
        [&self.event_wait, &self.express_event_wait]
    }

    /// Waits of tasks from the express queue.
    pub(crate) fn express_waits(&self) -> [&Histogram; 2] {
        [&self.express_event_wait, &self.express_other_wait]
    }

    /// Waits of all tasks.
    pub(crate) fn waits(&self) -> [&Histogram; 4] {
        let [event, other] = self.express_waits();
        [&self.event_wait, &self.other_wait, event, other]
    }

    /// Polls so far.
    pub(crate) fn polls(&self) -> u64 {
        self.task_poll.count()
    }

    /// Time spent in polls.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.task_poll.total())
    }
}
