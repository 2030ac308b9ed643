//! A kind of close with its details.

use std::error::Error;
use std::io;

use crate::connection::budget::OverBudget;
use crate::connection::close_reason::{CloseKind, CloseReason};
use crate::connection::refusal::Refusal;
use crate::server::Limits;

/// The reason of this kind. `cause` is what led to it, if that is known.
pub(super) fn reason_of(
    kind: CloseKind,
    cause: Option<Box<dyn Error + Send + Sync>>,
    limits: &Limits,
) -> CloseReason {
    let details = |cause: Option<_>| {
        cause.unwrap_or_else(|| "the peer broke the rules of its protocol".into())
    };
    match kind {
        CloseKind::Finished => CloseReason::Finished,
        CloseKind::IdleDrained => CloseReason::IdleDrained,
        CloseKind::Drained => CloseReason::Drained,
        CloseKind::Cancelled => CloseReason::Cancelled,
        CloseKind::IdleTimeout => CloseReason::IdleTimeout,
        CloseKind::HeaderTimeout => CloseReason::HeaderTimeout,
        CloseKind::BodyTimeout => CloseReason::BodyTimeout,
        CloseKind::WriteTimeout => CloseReason::WriteTimeout,
        CloseKind::TooSlow => CloseReason::TooSlow,
        CloseKind::Panicked => CloseReason::Panicked,
        CloseKind::HandshakeTimeout => CloseReason::HandshakeTimeout,
        CloseKind::Memory => CloseReason::Memory(OverBudget { limit: limits.buffered_bytes }),
        CloseKind::Protocol => CloseReason::Protocol(details(cause)),
        CloseKind::Http2Flood => CloseReason::Http2Flood(details(cause)),
        // No connection gets as far as HTTP with one of these.
        CloseKind::Refused => CloseReason::Refused(Refusal::PerAddress),
        CloseKind::Handshake => CloseReason::Handshake(details(cause)),
        CloseKind::Lost => CloseReason::Lost(match cause {
            Some(cause) => io::Error::other(cause),
            None => io::ErrorKind::UnexpectedEof.into(),
        }),
    }
}
