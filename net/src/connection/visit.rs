//! What a server keeps of each connection: when it came, and how far its end has come.

use std::num::NonZeroU64;

use heist_scheduler::time::Instant;

use crate::connection::close_reason::CloseKind;

/// When a connection came, and how far its end has come, in one word: nanoseconds on the clock, but
/// the lowest byte of them is used otherwise.
///
/// | bits | meaning |
/// |---|---|
/// | 8 to 63 | when it came, to 256 ns |
/// | 7 | one of two [holders](Holder) has gone |
/// | 6 | always set: the word is never 0, so that an `Option` of what has one takes no more room |
/// | 0 to 5 | 0, or one more than the [`CloseKind`] that the first of them told |
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit(NonZeroU64);

/// Who keeps a connection counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Its [`Place`](super::Place) or its task, each of which may go before the other.
    OneOfTwo,
    /// Its task, with the place in it.
    Sole,
}

const _: () = assert!(CloseKind::ALL.len() < Visit::ENDING as usize);

impl Visit {
    pub(crate) fn new(now: Instant) -> Visit {
        Visit(Visit::ALWAYS | now.as_nanos() & !Visit::LOWEST)
    }

    pub(crate) fn since(self) -> Instant {
        Instant::from_nanos(self.0.get() & !Visit::LOWEST)
    }

    /// The ending that was told first.
    pub(crate) fn ending(self) -> Option<CloseKind> {
        let told = (self.0.get() & Visit::ENDING).checked_sub(1)?;
        CloseKind::ALL.get(told as usize).copied()
    }

    /// A holder leaves and may tell of an ending. Returns whether it was the last one.
    #[must_use = "the last one ends it"]
    pub(crate) fn leave(&mut self, holder: Holder, ending: Option<CloseKind>) -> bool {
        if self.0.get() & Visit::ENDING == 0 {
            self.0 |= ending.map_or(0, |ending| ending as u64 + 1);
        }
        let last = holder == Holder::Sole || self.0.get() & Visit::ONE_HAS_GONE != 0;
        self.0 |= Visit::ONE_HAS_GONE;
        last
    }

    const LOWEST: u64 = 0xff;
    const ONE_HAS_GONE: u64 = 0x80;
    const ALWAYS: NonZeroU64 = NonZeroU64::new(0x40).expect("a constant that is not 0");
    const ENDING: u64 = 0x3f;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ending_counts_and_the_last_holder_ends_it() {
        let came = Instant::from_nanos(123_456_789);
        for first in CloseKind::ALL {
            let mut visit = Visit::new(came);
            assert_eq!(visit.ending(), None);
            assert!(!visit.leave(Holder::OneOfTwo, Some(first)));
            assert!(visit.leave(Holder::OneOfTwo, Some(CloseKind::Cancelled)));
            assert_eq!(visit.ending(), Some(first));
            assert!((came - visit.since()).as_nanos() < 256);
        }
    }

    #[test]
    fn a_holder_that_tells_nothing_leaves_the_word_to_the_other() {
        let mut visit = Visit::new(Instant::ZERO);
        assert!(!visit.leave(Holder::OneOfTwo, None));
        assert!(visit.leave(Holder::OneOfTwo, Some(CloseKind::Lost)));
        assert_eq!(visit.ending(), Some(CloseKind::Lost));
    }
}
