//! One bound on the bytes that all connections of a server buffer together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes a server's connections may buffer together, and how many they do.
///
/// What is charged is memory that peers make the server hold: partial messages, and output that is
/// not taken. The connection that would pass the bound is closed; the others go on. Nothing is
/// charged, and nothing shared is written, for a connection that keeps nothing between its events.
///
/// ```
/// use heist::server::Budget;
///
/// let budget = Budget::new(100);
/// budget.try_grow(80)?;
/// assert!(budget.try_grow(21).is_err());
/// budget.shrink(80);
/// assert_eq!(budget.used(), 0);
/// # Ok::<(), heist::server::OverBudget>(())
/// ```
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    /// Bytes charged now. Written by each connection whose buffers change. Relaxed everywhere: the
    /// number alone decides, and it publishes nothing.
    used: AtomicUsize,
}

/// The budget of buffered bytes does not allow for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connections of the server may buffer {limit} bytes together, which are used up")]
pub struct OverBudget {
    /// The bound: [`Limits::buffered_bytes`](crate::server::Limits::buffered_bytes).
    pub limit: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub const fn new(limit: usize) -> Budget {
        Budget { limit, used: AtomicUsize::new(0) }
    }

    /// Charges `bytes` more.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] if that would pass the bound; then nothing is charged.
    pub fn try_grow(&self, bytes: usize) -> Result<(), OverBudget> {
        let grown = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown) {
            Ok(_) => Ok(()),
            Err(_) => Err(OverBudget { limit: self.limit }),
        }
    }

    /// Gives `bytes` back that were charged.
    pub fn shrink(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{bytes} bytes given back of {before}");
    }

    /// Changes a charge of `from` bytes into one of `to`.
    ///
    /// # Errors
    ///
    /// As [`try_grow`](Budget::try_grow): then the charge is still `from`.
    pub fn change(&self, from: usize, to: usize) -> Result<(), OverBudget> {
        if to > from {
            return self.try_grow(to - from);
        }
        if from > to {
            self.shrink(from - to);
        }
        Ok(())
    }

    /// The bound, in bytes.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that are charged now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charge_that_was_refused_leaves_nothing_behind() {
        let budget = Budget::new(10);
        assert_eq!(budget.try_grow(10), Ok(()));
        assert_eq!(budget.try_grow(1), Err(OverBudget { limit: 10 }));
        assert_eq!(budget.try_grow(usize::MAX), Err(OverBudget { limit: 10 }));
        assert_eq!(budget.change(10, 4), Ok(()));
        assert_eq!(budget.change(4, 11), Err(OverBudget { limit: 10 }));
        assert_eq!(budget.used(), 4);
    }
}
