//! From and to the instants of the standard library.
//!
//! A [`std::time::Instant`] tells its distance from another one and nothing else. So one time is read by both
//! clocks, once in a process, and every conversion counts from there.

use std::sync::OnceLock;
use std::time::{Duration, Instant as StdInstant};

use super::{Clock, Instant};

/// The same time by both clocks.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    instant: Instant,
    std: StdInstant,
    /// By how much the two may be apart: how long it took to read them.
    error: Duration,
}

impl From<StdInstant> for Instant {
    /// The same time by [`Clock::system`].
    ///
    /// An instant from before the clock's origin becomes [`Instant::ZERO`]. Converting back and forth gives the
    /// same instant again, and instants keep their order and their distances. Both are read from the same clock
    /// of the system where there is one such, as on Linux; then the error is that of reading it twice: well
    /// below a microsecond. Where the standard library's clock stands still while the machine sleeps, and the
    /// system's monotonic one does not, a conversion is wrong by the sleeps since the first conversion.
    ///
    /// For a runtime whose clock is [moved by hand](Clock::manual) the result means nothing, as its time has
    /// nothing to do with the machine's: there, count from [`Instant::now`].
    ///
    /// ```
    /// use heist::time::{Clock, Instant};
    ///
    /// let deadline = std::time::Instant::now() + std::time::Duration::from_secs(1);
    /// let deadline = Instant::from(deadline);
    /// assert!(deadline > Clock::system().now());
    /// ```
    fn from(std: StdInstant) -> Instant {
        let anchor = Anchor::of_process();
        match std.checked_duration_since(anchor.std) {
            Some(later) => anchor.instant + later,
            None => anchor.instant - anchor.std.duration_since(std),
        }
    }
}

impl From<Instant> for StdInstant {
    /// The same time by the standard library's clock; see the conversion in the other direction.
    ///
    /// An instant that it cannot express, as [`Instant::FAR_FUTURE`] on some systems, becomes one that is
    /// years away.
    fn from(instant: Instant) -> StdInstant {
        let anchor = Anchor::of_process();
        let (later, earlier) = (instant - anchor.instant, anchor.instant - instant);
        nearest(later, |later| anchor.std.checked_add(later))
            .and_then(|std| nearest(earlier, |earlier| std.checked_sub(earlier)))
            .unwrap_or(anchor.std)
    }
}

impl Anchor {
    fn of_process() -> Anchor {
        static ANCHOR: OnceLock<Anchor> = OnceLock::new();
        *ANCHOR.get_or_init(Anchor::read)
    }

    /// Of some readings the one that took the shortest time, as the thread may lose its CPU in between.
    fn read() -> Anchor {
        let reading = |_| {
            let clock = Clock::system();
            let before = clock.now();
            let std = StdInstant::now();
            let error = clock.now() - before;
            Anchor { instant: before + error / 2, std, error }
        };
        let readings = (0..READINGS).map(reading);
        readings.min_by_key(|anchor| anchor.error).expect("there is more than one reading")
    }
}

/// What `step` makes of `distance`, or of the half, the quarter, and so on, where that is too far.
fn nearest(
    distance: Duration,
    step: impl Fn(Duration) -> Option<StdInstant>,
) -> Option<StdInstant> {
    std::iter::successors(Some(distance), |&distance| Some(distance / 2))
        .take(HALVES)
        .find_map(step)
}

const READINGS: usize = 8;
/// Halves after which the longest distance is less than a second.
const HALVES: usize = 40;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Whatever is between two readings of one clock is between the same two by the other.
    #[test]
    fn an_instant_converts_to_the_time_between_the_readings_around_it() {
        for _ in 0..100 {
            let before = Clock::system().now();
            let std = StdInstant::now();
            let after = Clock::system().now();
            let instant = Instant::from(std);
            let error = Anchor::of_process().error;
            assert!(before - error <= instant && instant <= after + error);
        }
    }

    #[test]
    fn conversions_are_each_others_inverse_and_keep_order_and_distance() {
        let now = StdInstant::now();
        for std in [now, now + HOUR, now + 1_000 * HOUR, now + Duration::from_nanos(1)] {
            let instant = Instant::from(std);
            assert_eq!(StdInstant::from(instant), std);
            assert_eq!(instant - Instant::from(now), std - now);
        }
        let early = Instant::from(now) - Duration::from_nanos(5);
        assert_eq!(Instant::from(StdInstant::from(early)), early);
        assert!(StdInstant::from(early) < now);
    }

    #[test]
    fn what_one_clock_cannot_express_is_as_far_as_it_goes() {
        assert!(StdInstant::from(Instant::FAR_FUTURE) > StdInstant::now() + 10_000 * HOUR);
        let now = StdInstant::now();
        let origin = StdInstant::from(Instant::ZERO);
        assert!(origin < now);
        if let Some(before) = origin.checked_sub(HOUR) {
            assert_eq!(Instant::from(before), Instant::ZERO);
        }
    }
}
