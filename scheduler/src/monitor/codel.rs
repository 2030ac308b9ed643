//! CoDel's rule: when a delay means overload.
//!
//! A queue is too long when the delay through it has stayed above a *target* for a whole *interval*. A
//! burst, however long its queue, passes within the interval; a queue that stands does not.
//!
//! The queue that is too long for one interval is overload that has begun; if what is done about that does not
//! shorten it within two more, it stands.

use std::time::Duration;

use crate::clock::Instant;

/// How far a runtime is overloaded, and so which work a server refuses; see
/// [`Handle::overload_level`](crate::Handle::overload_level).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OverloadLevel {
    /// Not at all.
    #[default]
    None = 0,
    /// What arrives has waited too long for a while: the accounts that use most are to be refused, the
    /// others served.
    Begun = 1,
    /// That has not helped, or not yet: all new work is to be refused.
    Standing = 2,
}

impl OverloadLevel {
    pub(super) fn of(number: u8) -> OverloadLevel {
        match number {
            0 => OverloadLevel::None,
            1 => OverloadLevel::Begun,
            _ => OverloadLevel::Standing,
        }
    }
}

/// `true` is overload in which all new work is to be refused.
impl From<bool> for OverloadLevel {
    fn from(overloaded: bool) -> OverloadLevel {
        if overloaded { OverloadLevel::Standing } else { OverloadLevel::None }
    }
}

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

    /// How much overload a delay seen `now` means; `None` while a worker has nothing to do. Times
    /// do not run backwards from one call to the next.
    ///
    /// One look at each end of an interval proves little: a monitor that looks so seldom was itself
    /// kept from running, as were the workers. So it takes some looks, too.
    #[must_use]
    pub(crate) fn judge(&mut self, now: Instant, delay: Option<Duration>) -> OverloadLevel {
        if delay.is_none_or(|delay| delay <= self.target) {
            self.above = None;
            return OverloadLevel::None;
        }
        let (since, looks) = self.above.get_or_insert((now, 0));
        *looks = looks.saturating_add(1);
        let (above, looks, interval) = (now - *since, *looks, self.interval);
        let lasts = |intervals: u32| {
            above >= interval.saturating_mul(intervals) && looks >= LOOKS * intervals
        };
        match (lasts(1), lasts(STANDING)) {
            (false, _) => OverloadLevel::None,
            (true, false) => OverloadLevel::Begun,
            (true, true) => OverloadLevel::Standing,
        }
    }
}

/// So many delays in a row have to be too long. The monitor takes twice as many in the usual interval.
const LOOKS: u32 = 5;

/// After so many intervals overload stands. In the first it is found; a queue of twice the target whose
/// requests are half of them refused takes as long as that to become short; the third is to spare.
const STANDING: u32 = 3;

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
    fn watch(rule: &mut CoDel, start: u64, end: u64) -> OverloadLevel {
        let looks = (start..=end).step_by(10).map(|millis| rule.judge(at(millis), LONG));
        looks.last().unwrap()
    }

    #[test]
    fn overload_that_lasts_two_more_intervals_stands() {
        let mut rule = CoDel::new(TARGET, INTERVAL);
        assert_eq!(watch(&mut rule, 0, 90), OverloadLevel::None);
        assert_eq!(watch(&mut rule, 100, 290), OverloadLevel::Begun);
        assert_eq!(watch(&mut rule, 300, 400), OverloadLevel::Standing);
        assert_eq!(rule.judge(at(410), Some(TARGET)), OverloadLevel::None);
        assert_eq!(watch(&mut rule, 420, 520), OverloadLevel::Begun, "it begins anew");
    }

    #[test]
    fn a_burst_that_passes_within_the_interval_is_no_overload() {
        let mut rule = CoDel::new(TARGET, INTERVAL);
        let none = OverloadLevel::None;
        assert_eq!(watch(&mut rule, 0, 90), none);
        assert_eq!(rule.judge(at(100), Some(TARGET)), none, "the target itself is still good");
        assert_eq!(watch(&mut rule, 110, 200), none, "the interval begins anew");
        assert_eq!(rule.judge(at(210), LONG), OverloadLevel::Begun);
    }

    #[test]
    fn overload_ends_at_the_first_good_delay_or_idle_worker() {
        for relief in [Some(TARGET), Some(Duration::ZERO), None] {
            let mut rule = CoDel::new(TARGET, INTERVAL);
            assert_eq!(watch(&mut rule, 0, 100), OverloadLevel::Begun);
            assert!(rule.judge(at(100_000), LONG) > OverloadLevel::None);
            assert_eq!(rule.judge(at(100_001), relief), OverloadLevel::None);
            assert_eq!(rule.judge(at(100_002), LONG), OverloadLevel::None);
        }
    }

    /// Failure: the whole process stood still for a moment, and its only client is turned away.
    #[test]
    fn a_pause_without_a_look_is_no_overload() {
        let mut rule = CoDel::new(TARGET, INTERVAL);
        for millis in [0, 200, 400, 600] {
            assert_eq!(rule.judge(at(millis), LONG), OverloadLevel::None);
        }
        let fifth = rule.judge(at(800), LONG);
        assert_eq!(fifth, OverloadLevel::Begun, "five in a row are no pause any more");
    }
}
