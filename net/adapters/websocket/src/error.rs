//! Why a WebSocket ended out of order.

use std::io;

use heist_net::server::{CloseKind, OverBudget};
use tungstenite::protocol::frame::coding::CloseCode;

/// Why a WebSocket ended out of order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A message or a frame is longer than its bound, or has too many fragments for its length.
    #[error("a message from the peer is too long: {0}")]
    TooLong(String),
    /// The peer broke the rules of the protocol.
    #[error("the peer broke the rules of WebSocket: {0}")]
    Protocol(String),
    /// A text is not UTF-8.
    #[error("a text from the peer is not UTF-8")]
    NotUtf8,
    /// The server's connections buffer too much already.
    #[error(transparent)]
    Memory(#[from] OverBudget),
    /// The WebSocket is closed, or closes, so nothing more can be sent.
    #[error("the WebSocket is closed")]
    Closed,
    /// The request for an upgrade was not answered by 101, or the connection ended before that was out.
    #[error("the connection was not upgraded: {0}")]
    NotUpgraded(#[source] hyper::Error),
    /// The connection broke, or the server ended it.
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
}

impl Error {
    pub(crate) fn of(error: tungstenite::Error) -> Error {
        use tungstenite::Error as Theirs;
        use tungstenite::error::ProtocolError;
        match error {
            Theirs::Io(error) => Error::Lost(error),
            Theirs::Capacity(error) => Error::TooLong(error.to_string()),
            Theirs::Utf8(_) => Error::NotUtf8,
            Theirs::ConnectionClosed | Theirs::AlreadyClosed => Error::Closed,
            Theirs::Protocol(ProtocolError::SendAfterClosing) => Error::Closed,
            Theirs::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Error::Lost(io::ErrorKind::UnexpectedEof.into())
            }
            other => Error::Protocol(other.to_string()),
        }
    }

    /// What the peer is told, if it can be told.
    pub(crate) fn code(&self) -> Option<CloseCode> {
        match self {
            Error::TooLong(_) => Some(CloseCode::Size),
            Error::Protocol(_) => Some(CloseCode::Protocol),
            Error::NotUtf8 => Some(CloseCode::Invalid),
            Error::Memory(_) => Some(CloseCode::Again),
            Error::Closed | Error::NotUpgraded(_) | Error::Lost(_) => None,
        }
    }

    /// As what the server counts the end of the connection.
    pub(crate) fn kind(&self) -> CloseKind {
        match self {
            Error::TooLong(_) | Error::Protocol(_) | Error::NotUtf8 => CloseKind::Protocol,
            Error::Memory(_) => CloseKind::Memory,
            Error::Closed | Error::NotUpgraded(_) | Error::Lost(_) => CloseKind::Lost,
        }
    }
}
