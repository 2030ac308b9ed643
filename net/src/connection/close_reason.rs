//! Why a connection ended.

use std::io;

use super::budget::OverBudget;
use super::refusal::Refusal;

/// Why a connection ended: the output of a [`Connection`](crate::Connection), what a
/// [`Protocol`](crate::Protocol) is told by `closed`, and what a server counts.
///
/// What a service of a server returns is counted by its [`kind`](CloseReason::kind):
///
/// ```
/// use heist::net::Stream;
/// use heist::server::CloseReason;
///
/// async fn greet(mut stream: Stream) -> CloseReason {
///     match stream.write_all(b"hello\n").await {
///         Ok(()) => CloseReason::Finished,
///         Err(error) => error.into(),
///     }
/// }
/// # drop(greet);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// In order: one side closed it while nothing was under way, and all output was handed to the
    /// system.
    #[error("the connection was closed in order")]
    Finished,
    /// The protocol [aborted](crate::protocol::Context::abort) it.
    #[error("the protocol aborted the connection")]
    Aborted,
    /// The connection was idle when the drain of its server began, and was closed.
    #[error("the server drains, and the connection was idle")]
    IdleDrained,
    /// The connection finished what it was doing while its server drained.
    #[error("the server drains, and the connection has finished")]
    Drained,
    /// The future was dropped: by its owner, at the end of a drain's grace, or with its runtime.
    #[error("the connection was dropped")]
    Cancelled,
    /// The connection was accepted, and refused when its PROXY header told whose it is.
    #[error("the connection was refused: {}", .0.label())]
    Refused(Refusal),
    /// What comes before the service, such as a TLS handshake, failed.
    #[error("the handshake failed: {0}")]
    Handshake(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What comes before the service, such as a TLS handshake, took too long.
    #[error("the handshake did not come to its end in time")]
    HandshakeTimeout,
    /// Nothing was read or written for too long.
    #[error("nothing was read or written for too long")]
    IdleTimeout,
    /// A message, or the head of a request, was incomplete for too long.
    #[error("a message did not come to its end in time")]
    HeaderTimeout,
    /// No part of a request's body came for too long.
    #[error("no part of a request's body came for too long")]
    BodyTimeout,
    /// The peer took none of the output for too long.
    #[error("the peer took none of the output for too long")]
    WriteTimeout,
    /// The connection was to be closed, but the peer did not take the last of the output in time.
    #[error("the peer did not take the last of the output in time")]
    FlushTimeout,
    /// The peer sent or took fewer bytes a second than is allowed.
    #[error("the peer is slower than is allowed")]
    TooSlow,
    /// What this connection was to buffer would have passed its server's budget.
    #[error("no memory for what the connection buffers: {0}")]
    Memory(#[source] OverBudget),
    /// A message was incomplete at the greatest length that is allowed.
    #[error("a message is longer than {limit} bytes")]
    MessageTooLong {
        /// [`Limits::max_message`](crate::protocol::Limits::max_message).
        limit: usize,
    },
    /// The peer broke the rules of the protocol.
    #[error("the protocol refused its input: {0}")]
    Protocol(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The peer sent more HTTP/2 frames of a kind than is allowed.
    #[error("the peer sent too much of HTTP/2: {0}")]
    Http2Flood(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke: reset by the peer, timed out, unreachable.
    #[error("the connection was lost: {0}")]
    Lost(#[source] io::Error),
    /// The code that served the connection panicked.
    #[error("the code that served the connection panicked")]
    Panicked,
}

impl CloseReason {
    /// What the reason is counted as.
    pub fn kind(&self) -> CloseKind {
        match self {
            CloseReason::Finished | CloseReason::Aborted => CloseKind::Finished,
            CloseReason::IdleDrained => CloseKind::IdleDrained,
            CloseReason::Drained => CloseKind::Drained,
            CloseReason::Cancelled => CloseKind::Cancelled,
            CloseReason::Refused(_) => CloseKind::Refused,
            CloseReason::Handshake(_) => CloseKind::Handshake,
            CloseReason::HandshakeTimeout => CloseKind::HandshakeTimeout,
            CloseReason::IdleTimeout => CloseKind::IdleTimeout,
            CloseReason::HeaderTimeout => CloseKind::HeaderTimeout,
            CloseReason::BodyTimeout => CloseKind::BodyTimeout,
            CloseReason::WriteTimeout | CloseReason::FlushTimeout => CloseKind::WriteTimeout,
            CloseReason::TooSlow => CloseKind::TooSlow,
            CloseReason::Memory(_) => CloseKind::Memory,
            CloseReason::Protocol(_) | CloseReason::MessageTooLong { .. } => CloseKind::Protocol,
            CloseReason::Http2Flood(_) => CloseKind::Http2Flood,
            CloseReason::Lost(_) => CloseKind::Lost,
            CloseReason::Panicked => CloseKind::Panicked,
        }
    }

    /// The label `reason` of a metric for it.
    pub fn label(&self) -> &'static str {
        self.kind().label()
    }

    /// The reason when the orderly end itself fails. An error that led to that end says more than
    /// the failure.
    pub(crate) fn or(self, failure: CloseReason) -> CloseReason {
        match self {
            CloseReason::Finished => failure,
            error => error,
        }
    }
}

/// An error of a socket: the connection is lost, or its runtime has shut down.
impl From<io::Error> for CloseReason {
    fn from(error: io::Error) -> CloseReason {
        let inner = error.get_ref();
        match inner.is_some_and(|inner| inner.is::<heist_reactor::Closed>()) {
            true => CloseReason::Cancelled,
            false => CloseReason::Lost(error),
        }
    }
}

/// A [`CloseReason`] without its details, as metrics count it.
///
/// Each is named after a reason. A reason that has no kind of its own is counted as a broader one:
/// an abort as `Finished`, a failed flush as `WriteTimeout`, a message that is too long as
/// `Protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
#[expect(missing_docs, reason = "CloseReason says what each of them means")]
pub enum CloseKind {
    Finished,
    IdleDrained,
    Drained,
    Cancelled,
    Refused,
    Handshake,
    HandshakeTimeout,
    IdleTimeout,
    HeaderTimeout,
    BodyTimeout,
    WriteTimeout,
    TooSlow,
    Memory,
    Protocol,
    Http2Flood,
    Lost,
    Panicked,
}

impl CloseKind {
    /// All of them, in the order in which they are declared.
    pub const ALL: [CloseKind; 17] = [
        CloseKind::Finished,
        CloseKind::IdleDrained,
        CloseKind::Drained,
        CloseKind::Cancelled,
        CloseKind::Refused,
        CloseKind::Handshake,
        CloseKind::HandshakeTimeout,
        CloseKind::IdleTimeout,
        CloseKind::HeaderTimeout,
        CloseKind::BodyTimeout,
        CloseKind::WriteTimeout,
        CloseKind::TooSlow,
        CloseKind::Memory,
        CloseKind::Protocol,
        CloseKind::Http2Flood,
        CloseKind::Lost,
        CloseKind::Panicked,
    ];

    /// The label `reason` of a metric for it.
    pub fn label(self) -> &'static str {
        match self {
            CloseKind::Finished => "finished",
            CloseKind::IdleDrained => "idle_drained",
            CloseKind::Drained => "drained",
            CloseKind::Cancelled => "cut",
            CloseKind::Refused => "refused",
            CloseKind::Handshake => "handshake",
            CloseKind::HandshakeTimeout => "handshake_timeout",
            CloseKind::IdleTimeout => "idle_timeout",
            CloseKind::HeaderTimeout => "header_timeout",
            CloseKind::BodyTimeout => "body_timeout",
            CloseKind::WriteTimeout => "write_timeout",
            CloseKind::TooSlow => "too_slow",
            CloseKind::Memory => "memory",
            CloseKind::Protocol => "protocol",
            CloseKind::Http2Flood => "http2_flood",
            CloseKind::Lost => "lost",
            CloseKind::Panicked => "panicked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_at_its_own_place() {
        for (index, kind) in CloseKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
        }
    }

    #[test]
    fn socket_that_ends_with_its_runtime_is_cancelled_and_not_lost() {
        let closed = CloseReason::from(io::Error::from(heist_reactor::Closed));
        assert_eq!(closed.kind(), CloseKind::Cancelled);
        let reset = CloseReason::from(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!(reset.kind(), CloseKind::Lost);
    }
}
