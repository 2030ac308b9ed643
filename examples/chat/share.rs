//! A person's share of the room: so many lines a second, and as many at once after a silence.

use std::time::Duration;

use heist::time::Instant;

/// A token bucket, kept as the time at which it is full again (the generic cell rate algorithm). It
/// reads no clock, so that tests can tell it the time.
pub(crate) struct Share {
    /// What a line costs.
    line: Duration,
    /// When all lines so far are paid for. At most a second ahead.
    paid: Instant,
    /// A line had to wait since the share was last whole.
    exceeded: bool,
}

/// A line that has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) until: Instant,
    /// The first one since the share was whole: the person is to be told.
    pub(crate) first: bool,
}

impl Share {
    pub(crate) fn new(lines_a_second: u32) -> Share {
        Share { line: SECOND / lines_a_second, paid: Instant::ZERO, exceeded: false }
    }

    /// Takes a line's worth of the share, or says when there will be one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Wait> {
        let debt = self.paid - now;
        self.exceeded &= !debt.is_zero();
        if debt + self.line > SECOND {
            let first = !std::mem::replace(&mut self.exceeded, true);
            return Err(Wait { until: self.paid + self.line - SECOND, first });
        }
        self.paid = self.paid.max(now) + self.line;
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);
