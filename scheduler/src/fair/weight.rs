//! How much time an account may take beside others.

/// How much of a busy worker's time an account may take beside others before its tasks wait behind theirs.
///
/// A power of two from 1/8 to 8: the time that is charged to the account is divided by it.
/// [`FIRST`](Weight::FIRST) is for what must be answered whatever else there is to do.
///
/// ```
/// use heist::task::Weight;
///
/// assert_eq!(Weight::times(4), Weight::times(5));
/// assert!(Weight::one_in(2) < Weight::NORMAL && Weight::NORMAL < Weight::times(2));
/// assert_eq!(Weight::default(), Weight::NORMAL);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u8);

impl Weight {
    /// The weight of every account that is given none: 1.
    pub const NORMAL: Weight = Weight(ONE);

    /// Tasks of the account go first when an event or a timer wakes them, such as those that answer health
    /// checks. The others keep the share of turns that they are promised, one in 20. A task that yields goes behind
    /// those that wait, and one that a thread off the workers wakes waits for its turn in the injector.
    pub const FIRST: Weight = Weight(7);

    /// `factor` times as much as a normal account, rounded down to a power of two, 8 at most.
    #[must_use]
    pub const fn times(factor: u32) -> Weight {
        let log = if factor == 0 { 0 } else { factor.ilog2() };
        Weight(ONE + if log < 3 { log as u8 } else { 3 })
    }

    /// One part in `parts` of what a normal account may take, with `parts` rounded down to a power of two, 8 at
    /// most.
    #[must_use]
    pub const fn one_in(parts: u32) -> Weight {
        let log = if parts == 0 { 0 } else { parts.ilog2() };
        Weight(ONE - if log < 3 { log as u8 } else { 3 })
    }

    /// Of the lowest three bits of `bits`.
    pub(super) const fn from_bits(bits: u16) -> Weight {
        Weight((bits & 7) as u8)
    }

    /// Less than 8. A charge is shifted right by so many bits; one of a normal account by [`ONE`].
    pub(super) const fn bits(self) -> u16 {
        self.0 as u16
    }
}

impl Default for Weight {
    fn default() -> Weight {
        Weight::NORMAL
    }
}

/// The bits of the weight 1.
const ONE: u8 = 3;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn weights_are_powers_of_two_within_bounds() {
        assert_eq!([0, 1].map(Weight::times), [Weight::NORMAL; 2]);
        assert_eq!([0, 1].map(Weight::one_in), [Weight::NORMAL; 2]);
        assert_eq!(Weight::times(u32::MAX), Weight::times(8));
        assert_eq!(Weight::one_in(u32::MAX), Weight::one_in(8));
        assert!(Weight::times(8) < Weight::FIRST);
        for bits in 0..8 {
            assert_eq!(Weight::from_bits(bits).bits(), bits);
        }
    }
}
