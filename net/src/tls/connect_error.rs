//! Why a client has not connected.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, Error, InvalidMessage};

use super::handshake::Incomplete;

/// Why a [`Connector`](super::Connector) has not connected. Each message names the server.
///
/// It is the inner error of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name of the server is neither a DNS name nor an IP address.
    #[error("the name of the TLS server is neither a DNS name nor an IP address: {server_name:?}")]
    InvalidName {
        /// The name.
        server_name: String,
    },
    /// The handshake took too long.
    #[error("the TLS handshake with {server_name} took longer than {limit:?}")]
    TimedOut {
        /// The name of the server.
        server_name: String,
        /// [`Connector::handshake_timeout`](super::Connector::handshake_timeout).
        limit: Duration,
    },
    /// The connection ended or broke before the handshake was complete.
    #[error("the connection to {server_name} was lost during the TLS handshake: {source}")]
    Lost {
        /// The name of the server.
        server_name: String,
        /// What the socket says.
        source: io::Error,
    },
    /// What the server sent is not TLS.
    #[error("{server_name} does not speak TLS on this port")]
    NotTls {
        /// The name of the server.
        server_name: String,
    },
    /// The server's certificate is refused: it is not of a trusted authority, not for this name, or not
    /// valid at this time.
    #[error("the certificate of {server_name} is refused: {source}")]
    Certificate {
        /// The name of the server.
        server_name: String,
        /// What is wrong with it.
        source: Source,
    },
    /// The server speaks none of the offered protocols (ALPN).
    #[error("{server_name} speaks none of the offered protocols: {source}")]
    NoApplicationProtocol {
        /// The name of the server.
        server_name: String,
        /// The alert.
        source: Source,
    },
    /// The server broke the handshake off by an alert: for example, it asks for a client certificate.
    #[error("{server_name} broke the TLS handshake off: {source}")]
    Alert {
        /// The name of the server.
        server_name: String,
        /// The alert.
        source: Source,
    },
    /// Client and server have no version, cipher suite or other algorithm in common, or the server broke
    /// the rules of TLS.
    #[error("the TLS handshake with {server_name} failed: {source}")]
    Failed {
        /// The name of the server.
        server_name: String,
        /// What has failed.
        source: Source,
    },
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl ConnectError {
    pub(super) fn incomplete(server_name: String, incomplete: Incomplete) -> ConnectError {
        match incomplete {
            Incomplete::Lost(source) => ConnectError::Lost { server_name, source },
            Incomplete::TooLarge => {
                let source = "the server sent too much for a handshake".into();
                ConnectError::Failed { server_name, source }
            }
            Incomplete::Failed { error, .. } => ConnectError::of(server_name, error),
        }
    }

    /// For an error of rustls.
    pub(super) fn of(server_name: String, error: Error) -> ConnectError {
        match error {
            Error::AlertReceived(AlertDescription::CloseNotify) => {
                let source = io::ErrorKind::UnexpectedEof.into();
                ConnectError::Lost { server_name, source }
            }
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                ConnectError::NotTls { server_name }
            }
            Error::InvalidCertificate(_)
            | Error::InvalidCertRevocationList(_)
            | Error::NoCertificatesPresented => {
                ConnectError::Certificate { server_name, source: error.into() }
            }
            Error::AlertReceived(AlertDescription::NoApplicationProtocol)
            | Error::NoApplicationProtocol => {
                ConnectError::NoApplicationProtocol { server_name, source: error.into() }
            }
            Error::AlertReceived(_) => ConnectError::Alert { server_name, source: error.into() },
            error => ConnectError::Failed { server_name, source: error.into() },
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> io::Error {
        let kind = match &error {
            ConnectError::InvalidName { .. } => io::ErrorKind::InvalidInput,
            ConnectError::TimedOut { .. } => io::ErrorKind::TimedOut,
            ConnectError::Lost { source, .. } => source.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}
