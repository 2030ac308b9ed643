//! A recent instant in half the size.

use heist_scheduler::time::Instant;

/// An instant of the last 26 days, to about a millisecond: of its nanoseconds, the bits 20 to 51.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CoarseInstant(u32);

impl CoarseInstant {
    #[inline]
    pub(crate) fn at(instant: Instant) -> CoarseInstant {
        CoarseInstant((instant.as_nanos() >> UNIT) as u32)
    }

    /// The instant, up to a millisecond less, as seen from `now`. One that is later than `now` counts
    /// as `now`: each worker reads the clock for itself, so a connection that moves may find an instant
    /// of the other worker ahead. One of more than 26 days ago counts as later, and so as `now`, too.
    pub(crate) fn seen_from(self, now: Instant) -> Instant {
        let age = CoarseInstant::at(now).0.wrapping_sub(self.0).cast_signed().max(0);
        let units = (now.as_nanos() >> UNIT).saturating_sub(age as u64);
        Instant::from_nanos(units << UNIT)
    }
}

/// The lowest bit that is kept: 2^20 nanoseconds.
const UNIT: u32 = 20;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn instant_is_found_again_also_when_its_lower_bits_have_come_round() {
        let start = Instant::from_nanos((1 << 52) - (1 << 30));
        for nanos in [0, 1, 1 << 20, 1 << 31, 1 << 50, (1 << 51) - (1 << 21)] {
            let then = start + Duration::from_nanos(12_345_678);
            let seen = CoarseInstant::at(then).seen_from(then + Duration::from_nanos(nanos));
            assert!(seen <= then && then - seen < Duration::from_micros(1_049), "{nanos}");
        }
    }

    #[test]
    fn what_is_later_or_long_ago_counts_as_now() {
        let now = Instant::from_nanos(3 << 52);
        for then in [now + Duration::from_millis(2), now - Duration::from_secs(27 * 86_400)] {
            assert_eq!(CoarseInstant::at(then).seen_from(now), now);
        }
    }

    #[test]
    fn moment_of_the_start_is_its_own() {
        assert_eq!(CoarseInstant::at(Instant::ZERO).seen_from(Instant::ZERO), Instant::ZERO);
    }
}
