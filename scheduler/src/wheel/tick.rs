//! The unit of time in which timers are filed.

use crate::clock::Instant;

/// A number of ticks of 62.5 µs since the clock's origin.
///
/// A deadline is *rounded up* to a tick and the time is *rounded down*, so a tick that was reached
/// lies at or after every deadline that was rounded to it. A millisecond is 16 ticks, so a deadline at a
/// whole millisecond, as most are on a clock that is moved by hand, is not rounded at all. 48 bits of ticks
/// reach 557 years, so no deadline is too far for the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    /// Bits of a tick number.
    pub(super) const BITS: u32 = 48;
    pub(super) const ZERO: Tick = Tick(0);
    /// The last tick. It is reached at [`Instant::FAR_FUTURE`] and no sooner, as the deadlines
    /// after its beginning have no later tick to be rounded up to.
    pub(super) const LAST: Tick = Tick((1 << Tick::BITS) - 1);

    /// The first tick at which a timer with this deadline may fire.
    #[inline]
    pub(crate) fn of_deadline(deadline: Instant) -> Tick {
        Tick(deadline.as_nanos().div_ceil(NANOS)).min(Tick::LAST)
    }

    /// The newest tick that has been reached at `now`.
    #[inline]
    pub(super) fn reached(now: Instant) -> Tick {
        match now {
            Instant::FAR_FUTURE => Tick::LAST,
            _ => Tick(now.as_nanos() / NANOS).min(Tick(Tick::LAST.0 - 1)),
        }
    }

    /// The earliest instant at which this tick is reached.
    #[inline]
    pub(super) fn instant(self) -> Instant {
        match self {
            Tick::LAST => Instant::FAR_FUTURE,
            Tick(number) => Instant::from_nanos(number * NANOS),
        }
    }

    /// The tick with this number, of which only [`Tick::BITS`] count.
    #[inline]
    pub(super) fn from_number(number: u64) -> Tick {
        Tick(number & Tick::LAST.0)
    }

    /// How many ticks before `self` the tick `earlier` is; 0 if it is not before.
    #[inline]
    pub(super) fn since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    #[inline]
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// A tick in nanoseconds.
const NANOS: u64 = 62_500;

/// The instant of each tick but the last is one.
const _: () = assert!(Tick::LAST.0 < u64::MAX / NANOS);

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_reached_tick_is_never_before_its_deadline(ends in any::<u64>(), now in any::<u64>()) {
            let (deadline, now) = (Instant::from_nanos(ends), Instant::from_nanos(now));
            if Tick::of_deadline(deadline) <= Tick::reached(now) {
                prop_assert!(deadline <= now);
            }
            prop_assert!(Tick::of_deadline(deadline).instant() >= deadline);
        }

        #[test]
        fn a_tick_is_reached_at_its_own_instant(number in 0..=Tick::LAST.number()) {
            let tick = Tick::from_number(number);
            prop_assert_eq!(Tick::reached(tick.instant()), tick);
        }
    }

    #[test]
    fn the_last_instant_has_a_tick_and_it_is_not_reached_early() {
        let last = Tick::of_deadline(Instant::FAR_FUTURE);
        assert_eq!(last, Tick::LAST);
        assert!(Tick::reached(Instant::from_nanos(u64::MAX - 1)) < last);
        assert_eq!(Tick::reached(Instant::FAR_FUTURE), last);
    }
}
