//! A number that grows.

#[cfg(feature = "metrics")]
use std::sync::atomic::{AtomicU64, Ordering};

/// A count with one writer at a time: no read-modify-write, so it costs a load and a store.
///
/// Keep it in [`PerWorker`](crate::PerWorker), which ensures the one writer. If two
/// threads add at once, an amount may be lost; there is no other harm.
///
/// ```
/// let count = heist::metrics::Counter::default();
/// count.add(2);
/// assert_eq!(count.get(), 2);
/// ```
#[derive(Debug, Default)]
pub struct Counter(#[cfg(feature = "metrics")] AtomicU64);

#[cfg(feature = "metrics")]
impl Counter {
    /// Adds `amount`; to be called by one thread at a time. Wraps around at 2^64.
    #[inline]
    pub fn add(&self, amount: u64) {
        // Relaxed, as in `get`: a statistic, which publishes nothing.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Subtracts `amount`, for a number of things that exist now. One worker's counter may fall below
    /// zero when what it counted ends on another; the wrapping sum of all does not.
    pub fn subtract(&self, amount: u64) {
        self.add(amount.wrapping_neg());
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(not(feature = "metrics"))]
impl Counter {
    /// Counts nothing: this build has no counters.
    #[inline]
    pub fn add(&self, _amount: u64) {}

    /// Counts nothing: this build has no counters.
    pub fn subtract(&self, _amount: u64) {}

    /// 0: this build has no counters.
    pub fn get(&self) -> u64 {
        0
    }
}
