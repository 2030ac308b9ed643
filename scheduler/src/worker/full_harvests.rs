//! Whether more events arrive than a worker takes.

/// Counts the harvests in a row that took as many events as they may.
///
/// Such a harvest is work for `T`, and more may be left in the kernel, of which the deque tells nothing. A few
/// in a row are a burst. From the eighth on the kernel's queue has stood for eight times `T`: more arrives than
/// the worker does.
#[derive(Debug, Default)]
pub(super) struct FullHarvests(u32);

impl FullHarvests {
    /// Returns whether it is time to ask for another worker.
    pub(super) fn saw(&mut self, is_full: bool) -> bool {
        self.0 = if is_full { self.0.saturating_add(1) } else { 0 };
        self.0 >= FULL_HARVESTS
    }
}

pub(super) const FULL_HARVESTS: u32 = 8;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn short_harvest_ends_a_row_of_full_ones() {
        let mut harvests = FullHarvests::default();
        for _ in 0..3 {
            assert!((1..FULL_HARVESTS).all(|_| !harvests.saw(true)));
            assert!(!harvests.saw(false));
        }
        assert!((1..FULL_HARVESTS).all(|_| !harvests.saw(true)));
        assert!((0..3).all(|_| harvests.saw(true)), "the eighth, and each behind it");
    }
}
