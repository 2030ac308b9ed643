//! Why a connection ended.

use std::io;

use crate::protocol::Error;
use crate::server::{Ending, OverBudget};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// The protocol [closed](super::Context::close) or [finished](super::Context::finish) it, and
    /// all output was handed to the system.
    #[error("the protocol closed the connection")]
    Finished,
    /// The protocol [aborted](super::Context::abort) it.
    #[error("the protocol aborted the connection")]
    Aborted,
    /// The connection broke: reset by the peer, timed out, unreachable.
    #[error("the connection was lost: {0}")]
    Lost(#[source] io::Error),
    /// The protocol refused its input.
    #[error("the protocol refused its input: {0}")]
    Protocol(#[source] Error),
    /// A message was incomplete at the greatest length that is allowed.
    #[error("a message is longer than {limit} bytes")]
    MessageTooLong {
        /// [`Limits::max_message`](super::Limits::max_message).
        limit: usize,
    },
    /// Nothing was read or written for [`Limits::idle_timeout`](super::Limits::idle_timeout).
    #[error("nothing was read or written for too long")]
    IdleTimeout,
    /// A message was incomplete after
    /// [`Limits::message_timeout`](super::Limits::message_timeout).
    #[error("a message did not come to its end in time")]
    MessageTimeout,
    /// The peer took nothing of the output for
    /// [`Limits::write_timeout`](super::Limits::write_timeout).
    #[error("the peer took none of the output for too long")]
    WriteTimeout,
    /// The peer sent or took fewer bytes a second than
    /// [`Limits::min_receive_rate`](super::Limits::min_receive_rate) or
    /// [`Limits::min_send_rate`](super::Limits::min_send_rate).
    #[error("the peer is slower than is allowed")]
    TooSlow,
    /// What this connection was to buffer would have passed its server's budget.
    #[error("no memory for what the connection buffers: {0}")]
    Memory(#[source] OverBudget),
    /// The connection was to be closed, but the peer did not take the output in time.
    #[error("the peer did not take the last of the output in time")]
    NotFlushed,
    /// The future was dropped, or the runtime shut down.
    #[error("the connection was dropped")]
    Cancelled,
    /// The protocol panicked.
    #[error("the protocol panicked")]
    Panicked,
}

impl Closed {
    /// The reason that an error of the socket stands for.
    pub(crate) fn lost(error: io::Error) -> Closed {
        let inner = error.get_ref();
        match inner.is_some_and(|inner| inner.is::<heist_reactor::Closed>()) {
            true => Closed::Cancelled,
            false => Closed::Lost(error),
        }
    }

    /// As a server counts it; `finished` is what it calls an end in order.
    pub(crate) fn ending(&self, finished: Ending) -> Ending {
        match self {
            Closed::Finished | Closed::Aborted => finished,
            Closed::Lost(_) => Ending::Lost,
            Closed::Protocol(_) | Closed::MessageTooLong { .. } => Ending::Protocol,
            Closed::IdleTimeout => Ending::IdleTimeout,
            Closed::MessageTimeout => Ending::HeaderTimeout,
            Closed::WriteTimeout | Closed::NotFlushed => Ending::WriteTimeout,
            Closed::TooSlow => Ending::TooSlow,
            Closed::Memory(_) => Ending::Memory,
            Closed::Cancelled => Ending::Cut,
            Closed::Panicked => Ending::Panicked,
        }
    }

    /// The reason when the orderly end itself fails: why it came to that end says more, if that was
    /// an error.
    pub(crate) fn or(self, failure: Closed) -> Closed {
        match self {
            Closed::Finished => failure,
            error => error,
        }
    }
}
