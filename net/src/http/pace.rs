//! How fast the peer is, by the time that is spent waiting for it.

use std::time::Duration;

use heist_scheduler::time::Instant;

/// The bytes that went in one direction during one request, and the time that was spent waiting
/// for the peer to send or take them. Time in which nobody waited is nobody's fault.
///
/// It is judged when bytes move: that nothing moves at all is for another bound to notice.
#[derive(Debug, Default)]
pub(super) struct Pace {
    bytes: u64,
    waited: Duration,
    waits_since: Option<Instant>,
}

impl Pace {
    /// Waits from now on. Whether it was not waiting before.
    pub(super) fn wait(&mut self, now: Instant) -> bool {
        let begins = self.waits_since.is_none();
        self.waits_since.get_or_insert(now);
        begins
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waits_since.is_some()
    }

    /// Waits no longer.
    pub(super) fn wait_no_longer(&mut self, now: Instant) {
        let since = self.waits_since.take();
        self.waited += since.map_or(Duration::ZERO, |since| now - since);
    }

    /// Counts bytes that moved.
    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The bytes that moved so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the peer took longer than `grace` and a second for each `rate` bytes.
    pub(super) fn is_below(&self, rate: u32, grace: Duration) -> bool {
        if self.waited <= grace || rate == 0 {
            return false;
        }
        let earned = Duration::from_secs(self.bytes / u64::from(rate));
        self.waited - grace > earned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    const GRACE: Duration = Duration::from_secs(10);

    #[test]
    fn time_in_which_nobody_waited_is_not_held_against_the_peer() {
        let mut pace = Pace::default();
        pace.wait(after(0));
        pace.wait_no_longer(after(9));
        pace.wait(after(1_000));
        pace.wait_no_longer(after(1_001));
        assert!(!pace.is_below(500, GRACE));
        pace.wait(after(2_000));
        pace.wait_no_longer(after(2_001));
        assert!(pace.is_below(500, GRACE));
    }

    #[test]
    fn bytes_earn_time_and_a_rate_of_none_asks_for_nothing() {
        let mut pace = Pace::default();
        assert!(pace.wait(after(0)));
        assert!(!pace.wait(after(5)));
        pace.count(1_000);
        pace.wait_no_longer(after(12));
        assert!(!pace.is_below(500, GRACE));
        assert!(pace.is_below(501, GRACE));
        assert!(!pace.is_below(0, GRACE));
    }
}
