//! Lines of the program's log about requests that were refused or failed.
//!
//! A flood of failures must not fill the disk: only the first [`LINES`] of each minute are logged,
//! the others are counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

use heist::server::Peer;
use metrics::{Counter, counter, describe_counter};

use crate::access::{Entry, Head};

/// Logs failures, up to the bound.
pub(crate) struct Failures {
    /// Holding this = the right to admit a line. No thread waits for it: a failure that finds it
    /// taken is counted and not logged.
    minute: Mutex<Minute>,
    /// Failures not logged since the last line. Relaxed: a number that publishes nothing else.
    unlogged: AtomicU64,
    all_unlogged: Counter,
}

struct Minute {
    began: Instant,
    lines: u32,
}

impl Failures {
    pub(crate) fn new() -> Failures {
        describe_counter!(UNLOGGED, "Failed requests and connections left out of the log.");
        let all_unlogged = counter!(UNLOGGED);
        all_unlogged.increment(0);
        let minute = Mutex::new(Minute { began: Instant::now(), lines: 0 });
        Failures { minute, unlogged: AtomicU64::new(0), all_unlogged }
    }

    /// Logs a request.
    pub(crate) fn request(&self, entry: &Entry) {
        if let Some(unlogged) = self.admit(Instant::now()) {
            let request = entry.head.as_ref().map_or_else(|| "-".to_owned(), Head::request_line);
            let (peer, status, outcome) = (&entry.peer, entry.status, entry.outcome);
            let seconds = entry.took.as_secs_f64();
            let request_id = entry.request_id();
            tracing::info!(
                %peer, request, status, outcome, seconds, request_id, unlogged,
                "a request failed"
            );
        }
    }

    /// Logs a connection that failed outside of a request.
    pub(crate) fn connection(&self, peer: &Peer, outcome: &'static str) {
        if let Some(unlogged) = self.admit(Instant::now()) {
            tracing::info!(%peer, outcome, unlogged, "a connection failed");
        }
    }

    /// Admits a line or counts the failure. Returns how many failures were not logged since the
    /// last line, if there is one now.
    fn admit(&self, now: Instant) -> Option<u64> {
        let admitted = match self.minute.try_lock() {
            Ok(mut minute) => minute.admit(now),
            Err(TryLockError::Poisoned(minute)) => minute.into_inner().admit(now),
            Err(TryLockError::WouldBlock) => false,
        };
        if admitted {
            return Some(self.unlogged.swap(0, Relaxed));
        }
        self.unlogged.fetch_add(1, Relaxed);
        self.all_unlogged.increment(1);
        None
    }
}

impl Minute {
    fn admit(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.began) >= MINUTE {
            *self = Minute { began: now, lines: 0 };
        }
        self.lines += 1;
        self.lines <= LINES
    }
}

const LINES: u32 = 60;

const MINUTE: Duration = Duration::from_secs(60);

const UNLOGGED: &str = "heist_failures_unlogged_total";

#[cfg(test)]
mod tests {
    use super::*;

    /// Failure: a flood of bad requests fills the disk with the lines about them.
    #[test]
    fn flood_of_failures_is_60_lines_a_minute_and_the_rest_is_counted() {
        let (failures, start) = (Failures::new(), Instant::now());
        let logged = (0..1000).filter(|_| failures.admit(start).is_some()).count();
        assert_eq!(logged, LINES as usize);
        assert_eq!(failures.admit(start + MINUTE / 2), None);
        assert_eq!(failures.admit(start + 2 * MINUTE), Some(1001 - u64::from(LINES)));
        assert_eq!(failures.admit(start + 2 * MINUTE), Some(0));
    }
}
