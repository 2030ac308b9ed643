//! What is left of the allowances of a peer.

use heist_scheduler::time::Instant;

use crate::server::Allowance;

/// How much of an [`Allowance`] is used up: a token bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// In millionths of what is counted.
    used: u64,
    /// When time was last taken into account.
    at: Instant,
    /// How many are allowed for beyond that.
    credit: u64,
}

impl Bucket {
    pub(super) const fn new() -> Bucket {
        Bucket { used: 0, at: Instant::ZERO, credit: 0 }
    }

    /// Uses `count` more. Returns whether that is allowed.
    pub(super) fn spend(&mut self, count: u32, allowance: Allowance, now: Instant) -> bool {
        let micros = u64::try_from((now - self.at).as_micros()).unwrap_or(u64::MAX);
        self.at = self.at.max(now);
        let regained = micros.saturating_mul(u64::from(allowance.per_second));
        let covered = self.credit.min(u64::from(count));
        self.credit -= covered;
        let used = (u64::from(count) - covered) * UNIT;
        self.used = self.used.saturating_sub(regained).saturating_add(used);
        self.used <= u64::from(allowance.burst) * UNIT
    }

    /// Gives `count` back. Never more than was used.
    pub(super) fn earn(&mut self, count: u32) {
        self.used = self.used.saturating_sub(u64::from(count) * UNIT);
    }

    /// Allows for `count` more, whenever they come.
    pub(super) fn allow(&mut self, count: u64) {
        self.credit = self.credit.saturating_add(count);
    }
}

/// One for each allowance.
#[derive(Debug)]
pub(super) struct Buckets {
    pub(super) resets: Bucket,
    pub(super) refused_streams: Bucket,
    pub(super) stream_errors: Bucket,
    pub(super) settings: Bucket,
    pub(super) pings: Bucket,
    pub(super) priorities: Bucket,
    pub(super) window_updates: Bucket,
    pub(super) small_window_updates: Bucket,
    pub(super) empty_frames: Bucket,
    pub(super) unknown_frames: Bucket,
}

impl Buckets {
    /// Nothing is used.
    pub(super) const FULL: Buckets = Buckets {
        resets: Bucket::new(),
        refused_streams: Bucket::new(),
        stream_errors: Bucket::new(),
        settings: Bucket::new(),
        pings: Bucket::new(),
        priorities: Bucket::new(),
        window_updates: Bucket::new(),
        small_window_updates: Bucket::new(),
        empty_frames: Bucket::new(),
        unknown_frames: Bucket::new(),
    };
}

const UNIT: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn burst_is_allowed_and_time_and_credit_give_back_what_was_used() {
        let allowance = Allowance::new(3, 2);
        let mut bucket = Bucket::new();
        let spend = |bucket: &mut Bucket, millis| bucket.spend(1, allowance, at(millis));
        assert!((0..3).all(|_| spend(&mut bucket, 0)));
        assert!(!spend(&mut bucket, 0));
        // Four are used: two come back in a second.
        assert!(!spend(&mut bucket, 499));
        let mut bucket = Bucket::new();
        assert!((0..3).all(|_| spend(&mut bucket, 0)));
        assert!(spend(&mut bucket, 500));
        assert!(!spend(&mut bucket, 500));
        bucket.earn(100);
        assert!((0..3).all(|_| spend(&mut bucket, 500)));
        assert!(!spend(&mut bucket, 500));
    }

    #[test]
    fn what_is_allowed_for_later_is_kept_beside_the_burst() {
        let allowance = Allowance::new(3, 0);
        let mut bucket = Bucket::new();
        bucket.allow(5);
        assert!((0..8).all(|_| bucket.spend(1, allowance, at(0))));
        assert!(!bucket.spend(1, allowance, at(0)));
    }

    #[test]
    fn clock_that_is_behind_gives_nothing_back_twice() {
        let allowance = Allowance::new(1, 1);
        let mut bucket = Bucket::new();
        assert!(bucket.spend(1, allowance, at(5_000)));
        assert!(!bucket.spend(1, allowance, at(4_000)));
    }
}
