//! A person's share of the room: a number of lines a second, and as many at once after a silence.

use std::time::Duration;

use heist::time::Instant;

/// A token bucket, kept as the time at which it is full again (the generic cell rate algorithm). It
/// reads no clock, so that tests pass the time.
pub(crate) struct Share {
    /// What a line costs.
    per_line: Duration,
    /// When all lines so far are paid for, and the share is whole. At most a second ahead.
    full_at: Instant,
    /// A line had to wait since the share was last whole.
    exceeded: bool,
}

/// A line that has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) until: Instant,
    /// The first one since the share was whole: the person gets a warning.
    pub(crate) first: bool,
}

impl Share {
    pub(crate) fn new(lines_a_second: u32) -> Share {
        Share { per_line: SECOND / lines_a_second, full_at: Instant::ZERO, exceeded: false }
    }

    /// Takes the cost of a line out of the share, or returns when there will be enough.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Wait> {
        let debt = self.full_at - now;
        self.exceeded &= !debt.is_zero();
        if debt + self.per_line > SECOND {
            let first = !std::mem::replace(&mut self.exceeded, true);
            return Err(Wait { until: self.full_at + self.per_line - SECOND, first });
        }
        self.full_at = self.full_at.max(now) + self.per_line;
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);
