//! What the monitor sees of the workers, and what it does for them.

use super::delay_probe::Overload;
use super::shared::MonitorShared;
use crate::clock::Instant;
use crate::threads::Thread;
use crate::wake::policy::Trigger;

/// The workers of a runtime, as the monitor sees them. Workers are numbered from 0.
pub(crate) trait Workers {
    /// What the workers tell the monitor.
    fn monitor(&self) -> &MonitorShared;

    /// The probes of the shards, and the monitor's finding.
    fn overload(&self) -> &Overload;

    fn now(&self) -> Instant;

    fn is_closing(&self) -> bool;

    fn count(&self) -> usize;

    /// Whether every worker is idle, no task waits, and a worker waits for the next shared timer, if there
    /// is one.
    fn at_rest(&self) -> bool;

    /// Whether a worker has nothing to do. While its shard has something to take, a listener is only
    /// passing through.
    fn any_is_idle(&self) -> bool;

    /// How long the oldest runnable task has waited, in nanoseconds.
    fn oldest_runnable(&self, now: Instant) -> u64;

    /// Raises the estimate of each worker that is stuck in a poll to what the poll takes already.
    fn raise_estimates(&self, now: Instant);

    /// When the worker's poll under way began, in clock nanoseconds, if it is [long](super::LONG_POLL).
    fn long_poll(&self, worker: usize, now: Instant) -> Option<u64>;

    /// The worker's thread, if the system tells anything of it.
    fn thread(&self, worker: usize) -> Option<Thread>;

    /// Wakes a worker if the policy finds `trigger` worth it. Returns whether one was woken.
    fn notify(&self, trigger: Trigger) -> bool;

    /// Makes one listener of the shard return.
    fn wake_shard(&self, shard: usize);
}
