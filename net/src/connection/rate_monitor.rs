//! Whether the peer is fast enough, by the time that is spent waiting for it.

use std::time::Duration;

use heist_scheduler::time::Instant;

/// The least that a peer has to send or take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MinRate {
    /// Bytes a second; 0 for no such bound.
    pub(crate) rate: u32,
    /// For how long the peer may be slower, to begin with.
    pub(crate) grace: Duration,
}

impl MinRate {
    /// How long a peer may take for `bytes`.
    fn allowance(self, bytes: u64) -> Duration {
        match self.rate {
            0 => Duration::MAX,
            rate => {
                let earned = bytes.saturating_mul(1000) / u64::from(rate);
                self.grace.saturating_add(Duration::from_millis(earned))
            }
        }
    }
}

/// The bytes that went in one direction, and the time that was spent waiting for the peer to send or
/// take them. Time without a wait does not count against the peer.
#[derive(Debug, Default)]
pub(crate) struct RateMonitor {
    bytes: u64,
    /// In waits that are over.
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl RateMonitor {
    /// A monitor of a wait that begins at `now`.
    pub(crate) fn waiting_from(now: Instant) -> RateMonitor {
        RateMonitor { waiting_since: Some(now), ..RateMonitor::default() }
    }

    /// A wait is under way from now on. Returns whether there was none before.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "only HTTP waits several times"))]
    pub(crate) fn begin_wait(&mut self, now: Instant) -> bool {
        let begins = self.waiting_since.is_none();
        self.waiting_since.get_or_insert(now);
        begins
    }

    /// Whether a wait is under way.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "only HTTP waits several times"))]
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting_since.is_some()
    }

    /// The wait, if there is one, is over.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "only HTTP waits several times"))]
    pub(crate) fn end_wait(&mut self, now: Instant) {
        let since = self.waiting_since.take();
        self.waited += since.map_or(Duration::ZERO, |since| now - since);
    }

    /// Has the time count from `now` only. The bytes stay.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.waited = Duration::ZERO;
        self.waiting_since = Some(now);
    }

    /// When the wait that is under way began.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// Counts bytes that moved.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The bytes that moved so far.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the length of an HTTP body"))]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the waits that are over took longer than `min` allows for the bytes that moved.
    ///
    /// For a caller that asks when bytes move, and that ends a standstill by another limit.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the engine uses `deadline`"))]
    pub(crate) fn is_below(&self, min: MinRate) -> bool {
        self.waited > min.allowance(self.bytes)
    }

    /// When the wait that is under way will have taken longer than `min` allows, if nothing moves
    /// before.
    pub(crate) fn deadline(&self, min: MinRate) -> Instant {
        let allowed = min.allowance(self.bytes).saturating_sub(self.waited);
        self.waiting_since.map_or(Instant::FAR_FUTURE, |since| since + allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn at_least(rate: u32) -> MinRate {
        MinRate { rate, grace: Duration::from_secs(10) }
    }

    #[test]
    fn time_without_a_wait_is_not_held_against_the_peer() {
        let mut monitor = RateMonitor::default();
        monitor.begin_wait(after(0));
        monitor.end_wait(after(9));
        monitor.begin_wait(after(1_000));
        assert_eq!(monitor.deadline(at_least(500)), after(1_001));
        monitor.end_wait(after(1_001));
        assert!(!monitor.is_below(at_least(500)));
        assert_eq!(monitor.deadline(at_least(500)), Instant::FAR_FUTURE);
        monitor.begin_wait(after(2_000));
        monitor.end_wait(after(2_001));
        assert!(monitor.is_below(at_least(500)));
    }

    #[test]
    fn bytes_earn_time_and_a_rate_of_none_asks_for_nothing() {
        let mut monitor = RateMonitor::default();
        assert!(monitor.begin_wait(after(0)));
        assert!(!monitor.begin_wait(after(5)));
        monitor.count(1_000);
        monitor.end_wait(after(12));
        assert!(!monitor.is_below(at_least(500)));
        assert!(monitor.is_below(at_least(501)));
        assert!(!monitor.is_below(at_least(0)));
    }

    #[test]
    fn allowance_grows_with_what_came_and_is_endless_without_a_rate() {
        assert_eq!(at_least(500).allowance(0), Duration::from_secs(10));
        assert_eq!(at_least(500).allowance(1250), Duration::from_millis(12_500));
        assert_eq!(at_least(0).allowance(1250), Duration::MAX);
    }

    #[test]
    fn restarted_monitor_keeps_the_bytes_and_forgets_the_time() {
        let mut monitor = RateMonitor::waiting_from(after(0));
        monitor.count(500);
        assert_eq!(monitor.deadline(at_least(500)), after(11));
        monitor.restart(after(100));
        assert_eq!(monitor.deadline(at_least(500)), after(111));
        assert_eq!(monitor.waiting_since(), Some(after(100)));
        assert_eq!(monitor.deadline(at_least(0)), Instant::FAR_FUTURE);
    }
}
