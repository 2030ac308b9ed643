//! What every back end returns besides events, and the limits of one call.

use std::time::Duration;

/// The result of one call that is no event of a source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signals {
    /// A wake was taken.
    pub(crate) woken: bool,
    /// The shard is closed.
    pub(crate) closed: bool,
}

/// The most events that one call takes: enough to pay for the system call, few enough to leave the
/// rest to other threads.
pub(crate) const BATCH: usize = 64;

/// The longest time-out that every system call of the back ends can express (2^31 ms, nearly 25
/// days). One wake-up without a reason in that time costs nothing.
pub(crate) const FAR: Duration = Duration::from_millis(i32::MAX as u64);
