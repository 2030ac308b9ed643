//! The bounds of a connection.

use std::time::Duration;

use crate::connection::rate_monitor::MinRate;

/// The bounds of a connection; see [`Connection::limits`](crate::Connection::limits).
///
/// ```
/// use heist::protocol::Limits;
///
/// let limits = Limits { max_message: 1024, ..Limits::default() };
/// assert_eq!(limits.high_watermark, 64 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of output waiting at which the connection stops reading and taking messages. One call
    /// of the protocol may exceed it.
    pub high_watermark: usize,
    /// Bytes of output waiting at which it goes on; less than the high watermark.
    pub low_watermark: usize,
    /// Bytes of input that a protocol may leave for want of more.
    ///
    /// It is a bound and takes no memory: what is kept of a message takes as much as has come of
    /// it. But a partial message is copied twice at each event, so one that is much longer than the
    /// default is better taken in pieces.
    pub max_message: usize,
    /// Messages of other tasks that may wait; more are refused, or wait at their sender.
    pub inbox: usize,
    /// How long nothing may be read or written before the connection is closed.
    pub idle_timeout: Duration,
    /// How long a message may take from its first byte to its last.
    pub message_timeout: Duration,
    /// How long the peer may take nothing of the output that waits.
    pub write_timeout: Duration,
    /// The least that the peer has to send of a message it has begun, in bytes a second; 0 for no
    /// such bound.
    pub min_receive_rate: u32,
    /// The least that the peer has to take of the output that waits, in bytes a second; 0 for no
    /// such bound.
    pub min_send_rate: u32,
    /// For how long the peer may be slower than that, to begin with.
    pub rate_grace: Duration,
    /// How long the peer may take to accept the last output when the connection closes.
    pub flush_timeout: Duration,
    /// How long the connection waits for the peer to close too, discarding what it sends.
    ///
    /// Closing at once while the peer still sends makes the system reset the connection, and the
    /// peer loses the end of what it was sent. Zero turns that risk on.
    pub linger_timeout: Duration,
    /// How many bytes are discarded while waiting for the peer to close too.
    pub linger_bytes: usize,
}

impl Limits {
    pub(crate) const DEFAULT: Limits = Limits {
        high_watermark: 64 * 1024,
        low_watermark: 16 * 1024,
        max_message: 64 * 1024,
        inbox: 64,
        idle_timeout: Duration::from_secs(60),
        message_timeout: Duration::from_secs(15),
        write_timeout: Duration::from_secs(30),
        min_receive_rate: 500,
        min_send_rate: 500,
        rate_grace: Duration::from_secs(10),
        flush_timeout: Duration::from_secs(30),
        linger_timeout: Duration::from_secs(5),
        linger_bytes: 256 * 1024,
    };

    /// The least that the peer has to send of a message.
    pub(crate) fn receive_rate(&self) -> MinRate {
        MinRate { rate: self.min_receive_rate, grace: self.rate_grace }
    }

    /// The least that the peer has to take of the output.
    pub(crate) fn send_rate(&self) -> MinRate {
        MinRate { rate: self.min_send_rate, grace: self.rate_grace }
    }

    /// The high watermark; at 0 nothing could ever be read.
    pub(crate) fn high(&self) -> usize {
        self.high_watermark.max(1)
    }

    /// The low watermark. Were it not below the high one, the connection would go on at once
    /// whenever it stops, without end.
    pub(crate) fn low(&self) -> usize {
        self.low_watermark.min(self.high() - 1)
    }

    /// The longest input for one call; at 0 nothing could ever be given to the protocol.
    pub(crate) fn message(&self) -> usize {
        self.max_message.max(1)
    }
}

impl Default for Limits {
    /// Watermarks 64 and 16 KiB, messages up to 64 KiB, 64 messages of other tasks; 60 s idle, 15 s
    /// for a message, 30 s without progress of the output, at least 500 bytes a second in both
    /// directions after 10 s; 30 s to flush, 5 s and 256 KiB to linger.
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limits_make_a_connection_spin_or_stand_still() {
        for (high_watermark, low_watermark) in [(0, 0), (1, 1), (10, 20), (usize::MAX, usize::MAX)]
        {
            let limits =
                Limits { high_watermark, low_watermark, max_message: 0, ..Limits::default() };
            assert!(limits.low() < limits.high(), "{limits:?}");
            assert_eq!(limits.message(), 1);
        }
    }
}
