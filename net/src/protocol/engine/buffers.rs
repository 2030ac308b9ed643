//! The bytes that an engine keeps between its turns: input that the protocol could not use yet, and
//! output that the transport did not take yet.

use std::mem;

use heist_scheduler::time::Instant;

use crate::connection::charge::Charge;
use crate::connection::close_reason::CloseReason;
use crate::connection::linger::Linger;
use crate::connection::rate_monitor::RateMonitor;

/// Output that the transport did not take.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    /// How much of the front was sent.
    sent: usize,
}

impl Backlog {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn append(&mut self, fresh: &[u8]) {
        // Moving what is left to the front only when it is the lesser part keeps the moving cheap,
        // and the space that is lost small.
        if self.sent > self.len() {
            self.bytes.drain(..mem::take(&mut self.sent));
        }
        self.bytes.extend_from_slice(fresh);
    }

    /// What is to be sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Notes that `count` bytes of the front were sent. A backlog that is gone gives its buffer back.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.len() == 0 {
            *self = Backlog::default();
        }
    }
}

/// What a connection that is not idle keeps.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// What the protocol left of the input.
    pub(super) input: Vec<u8>,
    /// How fast the peer sends it: since its first byte came.
    pub(super) input_rate: RateMonitor,
    pub(super) backlog: Backlog,
    /// How fast the peer takes it: since there is a backlog.
    pub(super) output_rate: RateMonitor,
    /// When the peer last took some of it.
    pub(super) taken_at: Instant,
    /// What the server's budget was charged with.
    pub(super) charge: Charge,
    /// Until when the protocol wants no input. If that has passed, the next turn reads again.
    pub(super) paused_until: Option<Instant>,
    /// Why the connection is about to end.
    pub(super) reason: Option<CloseReason>,
    /// Of the peer that still sends, once all output is out.
    pub(super) linger: Option<Linger>,
}

impl Buffers {
    /// Whether there is nothing to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.input.is_empty()
            && self.backlog.len() == 0
            && self.paused_until.is_none()
            && self.reason.is_none()
    }

    /// The memory that its bytes take.
    pub(super) fn size(&self) -> usize {
        self.input.capacity() + self.backlog.bytes.capacity()
    }

    /// Keeps output that the transport did not take at `now`.
    pub(super) fn keep_output(&mut self, bytes: &[u8], now: Instant) {
        if self.backlog.len() == 0 {
            self.output_rate = RateMonitor::waiting_from(now);
            self.taken_at = now;
        }
        self.backlog.append(bytes);
    }

    /// Notes that the peer took `count` bytes at `now`.
    pub(super) fn note_taken(&mut self, count: usize, now: Instant) {
        if count > 0 {
            self.output_rate.count(count);
            self.taken_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backlog_keeps_the_order_when_it_moves_to_the_front() {
        let mut backlog = Backlog::default();
        backlog.append(b"abcdef");
        backlog.sent = 2;
        backlog.append(b"g");
        assert_eq!((backlog.sent, backlog.len()), (2, 5));
        backlog.sent = 6;
        backlog.append(b"h");
        assert_eq!((backlog.sent, &backlog.bytes[..]), (0, &b"gh"[..]));
    }
}
