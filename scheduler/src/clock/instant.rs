//! A point in a runtime's time.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// A point in a runtime's time: nanoseconds since the origin of its [`Clock`](super::Clock).
///
/// Unlike [`std::time::Instant`] it can be made from a number, so a test can name any point it
/// wants. Arithmetic saturates at [`Instant::ZERO`] and [`Instant::FAR_FUTURE`] instead of
/// panicking. All [system clocks](super::Clock::system) of a process have one origin, so a deadline of
/// one runtime is right in another. Those that are [moved by hand](super::Clock::manual) each have their
/// own: their instants compare with others, but the result means nothing.
///
/// It converts from and into [`std::time::Instant`], for instants of the system's clock.
///
/// ```
/// use std::time::Duration;
/// use heist::time::Instant;
///
/// let start = Instant::from_nanos(1_000);
/// let end = start + Duration::from_micros(2);
/// assert_eq!(end.as_nanos(), 3_000);
/// assert_eq!(end - start, Duration::from_micros(2));
/// assert_eq!(start - end, Duration::ZERO);
/// assert_eq!(start + Duration::MAX, Instant::FAR_FUTURE);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The clock's origin: the earliest instant there is.
    pub const ZERO: Instant = Instant(0);

    /// The latest instant there is, 584 years after the origin. A timer set to it never fires.
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    /// The instant `nanos` nanoseconds after the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long before `self` the instant `earlier` was; zero if it was not before.
    pub const fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same as [`Instant::duration_since`], which saturates: the name that std has for it.
    pub const fn saturating_duration_since(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }

    /// How long before `self` the instant `earlier` was; `None` if it came after.
    pub const fn checked_duration_since(self, earlier: Instant) -> Option<Duration> {
        match self.0.checked_sub(earlier.0) {
            Some(nanos) => Some(Duration::from_nanos(nanos)),
            None => None,
        }
    }

    /// The instant `duration` later; `None` if that is after [`Instant::FAR_FUTURE`].
    pub fn checked_add(self, duration: Duration) -> Option<Instant> {
        Some(Instant(self.0.checked_add(duration.as_nanos().try_into().ok()?)?))
    }

    /// The instant `duration` earlier; `None` if that is before [`Instant::ZERO`].
    pub fn checked_sub(self, duration: Duration) -> Option<Instant> {
        Some(Instant(self.0.checked_sub(duration.as_nanos().try_into().ok()?)?))
    }

    /// [`Instant::duration_since`] as a number of nanoseconds, for where a division is too much.
    #[inline]
    pub(crate) const fn nanos_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(nanos(duration)))
    }
}

/// `duration` in nanoseconds; what does not fit is as good as for ever.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(Instant::FAR_FUTURE + hour, Instant::FAR_FUTURE);
        assert_eq!(Instant::ZERO + Duration::MAX, Instant::FAR_FUTURE);
        assert_eq!(Instant::ZERO - hour, Instant::ZERO);
        assert_eq!(Instant::FAR_FUTURE - Duration::MAX, Instant::ZERO);
        assert_eq!(Instant::ZERO - Instant::FAR_FUTURE, Duration::ZERO);
    }

    #[test]
    fn sums_and_differences_agree() {
        let start = Instant::from_nanos(7);
        let mut end = start;
        end += Duration::from_nanos(35);
        assert_eq!(end, Instant::from_nanos(42));
        assert_eq!(end - start, Duration::from_nanos(35));
        assert_eq!(end - Duration::from_nanos(35), start);
        assert_eq!(end.checked_duration_since(start), Some(Duration::from_nanos(35)));
        assert_eq!(start.checked_duration_since(end), None);
        end -= Duration::from_nanos(35);
        assert_eq!(end, start);
        assert_eq!(start.checked_sub(Duration::from_nanos(8)), None);
        assert_eq!(start.checked_add(Duration::MAX), None);
        assert_eq!(start.checked_add(Duration::from_nanos(1)), Some(Instant::from_nanos(8)));
    }
}
