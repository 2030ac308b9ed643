//! Overload: whether what arrives waits too long for a worker.
//!
//! CoDel's rule (RFC 8289) on the delay of scheduling instead of packets: a queue is too long when
//! the delay through it has stayed above a *target* for a whole *interval*. A burst, however long
//! its queue, passes within the interval; a queue that stands does not.
//!
//! The delay is that of the whole way. Where polls are long a worker takes one event at a time, and
//! what waits, waits in the kernel; from wake to run it then takes nothing. So the monitor sends a
//! *probe* into each lane: a [`Park::wake`](crate::Park::wake), which queues up behind the events.
//! How long it takes until a worker hears it is how long an event waits there. It is sent only while
//! every worker is busy, when it wakes nobody, and one at a time.
//!
//! A probe carries no token and sets no flag of `sleep`: to that protocol it is a doorbell that rings
//! for nothing.

use std::time::Duration;

use crate::clock::Instant;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the monitor finds, and what workers tell it for that.
#[derive(Debug)]
pub(crate) struct Overload {
    /// Written by the monitor alone. Relaxed: it guards nothing.
    overloaded: AtomicBool,
    lanes: Box<[Probe]>,
}

/// One lane's probe.
#[derive(Debug, Default)]
struct Probe {
    /// When it was sent, in clock nanoseconds; 0 while none is under way. Set by the monitor, which
    /// alone sends one, and cleared by whoever hears it. The store is Release and pairs with the
    /// Acquire of who hears it, though the doorbell itself comes between.
    sent: AtomicU64,
    /// How long the newest one that was heard had waited, in nanoseconds. Written by who heard it;
    /// set to 0 by the monitor when a worker has nothing to do. Relaxed: a measurement, of which the
    /// next look takes the newest.
    waited: AtomicU64,
}

impl Overload {
    pub(crate) fn new(lanes: usize) -> Overload {
        Overload {
            overloaded: AtomicBool::new(false),
            lanes: (0..lanes).map(|_| Probe::default()).collect(),
        }
    }

    /// What the monitor found last.
    pub(crate) fn is_on(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed)
    }

    /// By the monitor.
    pub(crate) fn set(&self, overloaded: bool) {
        // It lies beside what workers read at every turn, and mostly it does not change.
        if self.is_on() != overloaded {
            self.overloaded.store(overloaded, Ordering::Relaxed);
        }
    }

    /// By the monitor: notes that a probe of `lane` leaves `now`. False if one is under way still.
    #[must_use = "a probe that was noted has to be sent"]
    pub(crate) fn send(&self, lane: usize, now: Instant) -> bool {
        let sent = &self.lanes[lane].sent;
        let free = sent.load(Ordering::Relaxed) == 0;
        if free {
            sent.store(now.as_nanos().max(1), Ordering::Release);
        }
        free
    }

    /// By whoever heard a doorbell of `lane`: how long the probe waited, in nanoseconds, if it was
    /// one. Looks at the clock only then.
    pub(crate) fn hear(&self, lane: usize, now: impl FnOnce() -> Instant) -> Option<u64> {
        let probe = &self.lanes[lane];
        match probe.sent.swap(0, Ordering::Acquire) {
            0 => None,
            sent => {
                let waited = now().as_nanos().saturating_sub(sent);
                probe.waited.store(waited, Ordering::Relaxed);
                Some(waited)
            }
        }
    }

    /// How long an event waits for a worker: in the lane where it waits longest, what the newest
    /// probe waited, or waits already.
    pub(crate) fn delay(&self, now: Instant) -> u64 {
        self.lanes.iter().map(|probe| probe.delay(now)).max().unwrap_or(0)
    }

    /// By the monitor, when a worker has nothing to do: no lane has a delay. A probe that is still
    /// under way is given up; when its doorbell is heard there is nothing to it.
    pub(crate) fn forget(&self) {
        for probe in &self.lanes {
            probe.sent.store(0, Ordering::Relaxed);
            probe.waited.store(0, Ordering::Relaxed);
        }
    }
}

impl Probe {
    fn delay(&self, now: Instant) -> u64 {
        let waits = match self.sent.load(Ordering::Relaxed) {
            0 => 0,
            sent => now.as_nanos().saturating_sub(sent),
        };
        waits.max(self.waited.load(Ordering::Relaxed))
    }
}

/// CoDel's rule: a function of times and delays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) target: Duration,
    pub(crate) interval: Duration,
    /// Since when every delay was above the target, and how many that were.
    above: Option<(Instant, u32)>,
}

impl Rule {
    pub(crate) fn new(target: Duration, interval: Duration) -> Rule {
        Rule { target, interval, above: None }
    }

    /// Whether a delay seen `now` means overload; `None` while a worker has nothing to do. Times
    /// do not run backwards from one call to the next.
    ///
    /// One look at each end of an interval proves little: whoever looks so seldom was itself kept from
    /// running, as were the workers. So it takes some looks, too.
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
    fn watch(rule: &mut Rule, start: u64, end: u64) -> bool {
        let looks = (start..=end).step_by(10).map(|millis| rule.judge(at(millis), LONG));
        looks.last().unwrap()
    }

    #[test]
    fn a_burst_that_passes_within_the_interval_is_no_overload() {
        let mut rule = Rule::new(TARGET, INTERVAL);
        assert!(!watch(&mut rule, 0, 90));
        assert!(!rule.judge(at(100), Some(TARGET)), "the target itself is still good");
        assert!(!watch(&mut rule, 110, 200), "the interval begins anew");
        assert!(rule.judge(at(210), LONG));
    }

    #[test]
    fn overload_ends_at_the_first_good_delay_or_idle_worker() {
        for relief in [Some(TARGET), Some(Duration::ZERO), None] {
            let mut rule = Rule::new(TARGET, INTERVAL);
            assert!(watch(&mut rule, 0, 100));
            assert!(rule.judge(at(100_000), LONG));
            assert!(!rule.judge(at(100_001), relief));
            assert!(!rule.judge(at(100_002), LONG));
        }
    }

    /// Failure: the whole process stood still for a moment, and its only client is turned away.
    #[test]
    fn a_pause_in_which_nobody_looked_is_no_overload() {
        let mut rule = Rule::new(TARGET, INTERVAL);
        for millis in [0, 200, 400, 600] {
            assert!(!rule.judge(at(millis), LONG));
        }
        assert!(rule.judge(at(800), LONG), "five in a row are no pause any more");
    }

    #[test]
    fn a_probe_that_nobody_hears_gets_older_and_one_that_was_heard_counts_until_the_next() {
        let overload = Overload::new(2);
        assert_eq!(overload.hear(0, || unreachable!("it was not sent")), None);
        assert!(overload.send(0, at(10)));
        assert!(!overload.send(0, at(11)), "one at a time");
        assert!(overload.send(1, at(12)));
        assert_eq!(overload.delay(at(30)), 20_000_000);
        assert_eq!(overload.hear(0, || at(40)), Some(30_000_000));
        assert_eq!(overload.hear(0, || unreachable!("it was heard")), None);
        assert_eq!(overload.hear(1, || at(13)), Some(1_000_000));
        assert!(overload.send(0, at(41)));
        assert_eq!(overload.delay(at(42)), 30_000_000);
        assert_eq!(overload.hear(0, || at(43)), Some(2_000_000));
        assert_eq!(overload.delay(at(44)), 2_000_000);
    }

    #[test]
    fn what_was_measured_is_forgotten_when_a_worker_has_nothing_to_do() {
        let overload = Overload::new(2);
        assert!(overload.send(0, at(1)) && overload.send(1, at(1)));
        assert_eq!(overload.hear(0, || at(9)), Some(8_000_000));
        overload.forget();
        assert_eq!(overload.delay(at(100)), 0);
        assert_eq!(overload.hear(1, || unreachable!("it was given up")), None);
    }
}
