//! Why a connection ended.

use std::io;

use super::Error;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// The protocol [closed](super::Context::close) it, and all output was handed to the system.
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
    pub(super) fn lost(error: io::Error) -> Closed {
        let inner = error.get_ref();
        match inner.is_some_and(|inner| inner.is::<heist_reactor::Closed>()) {
            true => Closed::Cancelled,
            false => Closed::Lost(error),
        }
    }

    /// The reason when the orderly end itself fails: why it came to that end says more, if that was
    /// an error.
    pub(super) fn or(self, failure: Closed) -> Closed {
        match self {
            Closed::Finished => failure,
            error => error,
        }
    }
}
