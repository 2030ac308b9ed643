//! CoDel's rule: when a delay means overload.
//!
//! A queue is too long when the delay through it has stayed above a *target* for a whole *interval*. A
//! burst, however long its queue, passes within the interval; a queue that stands does not.

use std::time::Duration;

use crate::clock::Instant;

/// CoDel's rule (RFC 8289): a function of times and delays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoDel {
    pub(crate) target: Duration,
    pub(crate) interval: Duration,
    /// Since when every delay was above the target, and how many that were.
    above: Option<(Instant, u32)>,
}

impl CoDel {
    pub(crate) fn new(target: Duration, interval: Duration) -> CoDel {
        CoDel { target, interval, above: None }
    }

    /// Whether a delay seen `now` means overload; `None` while a worker has nothing to do. Times
    /// do not run backwards from one call to the next.
    ///
    /// One look at each end of an interval proves little: a monitor that looks so seldom was itself
    /// kept from running, as were the workers. So it takes some looks, too.
    #[must_use]
    pub(crate) fn judge(&mut self, now: Instant, delay: Option<Duration>) -> bool {
        if delay.is_none_or(|delay| delay <= self.target) {
            self.above = None;
            return false;
        }
        let (since, looks) = self.above.get_or_insert((now, 0));
        *looks = looks.saturating_add(1);
        now - *since >= self.interval && *looks >= LOOKS
    }
}

/// So many delays in a row have to be too long. The monitor takes twice as many in the usual interval.
const LOOKS: u32 = 5;

/// A delay of scheduling that is not yet too long. With the 10,000 connections that a server takes
/// by default all asking at once, handlers of 10 µs on two workers make just this: a full server is
/// not overloaded, one whose queue does not drain is. The monitor sees delays to 10 ms, so much
/// less would not be told from its own period.
pub(crate) const OVERLOAD_TARGET: Duration = Duration::from_millis(50);
/// How long a delay has to stay too long: CoDel's own figure, the longest usual way to a peer and
/// back, in which one that has been slowed down would show it; and ten looks of the monitor.
pub(crate) const OVERLOAD_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(50);
    const INTERVAL: Duration = Duration::from_millis(100);
    const LONG: Option<Duration> = Some(Duration::from_millis(51));

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    /// Looks every 10 ms, from `start` to `end`; what the last one says.
    fn watch(rule: &mut CoDel, start: u64, end: u64) -> bool {
        let looks = (start..=end).step_by(10).map(|millis| rule.judge(at(millis), LONG));
        looks.last().unwrap()
    }

    #[test]
    fn a_burst_that_passes_within_the_interval_is_no_overload() {
        let mut rule = CoDel::new(TARGET, INTERVAL);
        assert!(!watch(&mut rule, 0, 90));
        assert!(!rule.judge(at(100), Some(TARGET)), "the target itself is still good");
        assert!(!watch(&mut rule, 110, 200), "the interval begins anew");
        assert!(rule.judge(at(210), LONG));
    }

    #[test]
    fn overload_ends_at_the_first_good_delay_or_idle_worker() {
        for relief in [Some(TARGET), Some(Duration::ZERO), None] {
            let mut rule = CoDel::new(TARGET, INTERVAL);
            assert!(watch(&mut rule, 0, 100));
            assert!(rule.judge(at(100_000), LONG));
            assert!(!rule.judge(at(100_001), relief));
            assert!(!rule.judge(at(100_002), LONG));
        }
    }

    /// Failure: the whole process stood still for a moment, and its only client is turned away.
    #[test]
    fn a_pause_without_a_look_is_no_overload() {
        let mut rule = CoDel::new(TARGET, INTERVAL);
        for millis in [0, 200, 400, 600] {
            assert!(!rule.judge(at(millis), LONG));
        }
        assert!(rule.judge(at(800), LONG), "five in a row are no pause any more");
    }
}
