//! Why a handshake failed.

use std::io;

use rustls::{AlertDescription, Error};

use crate::connection::close_reason::CloseReason;

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The connection ended or broke before the handshake was complete.
    #[error("the connection was lost during the handshake: {0}")]
    Lost(#[source] io::Error),
    /// The client sent more than a handshake may take.
    #[error("the handshake takes more than {limit} bytes")]
    TooLarge {
        /// [`Limits::handshake_bytes`](crate::server::Limits::handshake_bytes).
        limit: usize,
    },
    /// What the client sent is not TLS.
    #[error("the client does not speak TLS")]
    NotTls,
    /// No certificate is for the name that the client asked for, or it asked for none.
    #[error("no certificate is for the name that the client asks for: {name:?}")]
    UnrecognizedName {
        /// The name, if it asked for one.
        name: Option<String>,
    },
    /// The client offers protocols, and the server speaks none of them (ALPN).
    #[error("the client speaks none of the server's protocols")]
    NoApplicationProtocol,
    /// Client and server have no version, cipher suite or other algorithm in common.
    #[error("client and server have no algorithm in common: {0}")]
    NothingInCommon(#[source] Source),
    /// The client's certificate is missing or invalid.
    #[error("the client's certificate is refused: {0}")]
    ClientCertificate(#[source] Source),
    /// The client broke the handshake off by an alert: for example, it does not trust the certificate.
    #[error("the client broke the handshake off: {0}")]
    Alert(#[source] Source),
    /// The client broke the rules of TLS.
    #[error("the client broke the rules of TLS: {0}")]
    Protocol(#[source] Source),
}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A [`HandshakeError`] without its details, or that the handshake did not come to an end: as metrics
/// count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
#[expect(missing_docs, reason = "HandshakeError says what most of them mean")]
pub enum HandshakeFailure {
    Lost,
    TooLarge,
    NotTls,
    UnrecognizedName,
    NoApplicationProtocol,
    NothingInCommon,
    ClientCertificate,
    Alert,
    Protocol,
    /// It was not complete in [time](crate::server::Limits::handshake_timeout).
    Timeout,
    /// The server ended it: at the end of a drain, or with its runtime.
    Cut,
}

impl HandshakeError {
    /// The reason for an error of rustls.
    pub(super) fn of(error: Error) -> HandshakeError {
        match error {
            Error::AlertReceived(AlertDescription::CloseNotify) => {
                HandshakeError::Lost(io::ErrorKind::UnexpectedEof.into())
            }
            Error::AlertReceived(_) => HandshakeError::Alert(error.into()),
            Error::NoApplicationProtocol => HandshakeError::NoApplicationProtocol,
            Error::PeerIncompatible(_) => HandshakeError::NothingInCommon(error.into()),
            Error::NoCertificatesPresented
            | Error::InvalidCertificate(_)
            | Error::InvalidCertRevocationList(_) => {
                HandshakeError::ClientCertificate(error.into())
            }
            error => HandshakeError::Protocol(error.into()),
        }
    }

    /// What it is counted as.
    pub fn failure(&self) -> HandshakeFailure {
        match self {
            HandshakeError::Lost(_) => HandshakeFailure::Lost,
            HandshakeError::TooLarge { .. } => HandshakeFailure::TooLarge,
            HandshakeError::NotTls => HandshakeFailure::NotTls,
            HandshakeError::UnrecognizedName { .. } => HandshakeFailure::UnrecognizedName,
            HandshakeError::NoApplicationProtocol => HandshakeFailure::NoApplicationProtocol,
            HandshakeError::NothingInCommon(_) => HandshakeFailure::NothingInCommon,
            HandshakeError::ClientCertificate(_) => HandshakeFailure::ClientCertificate,
            HandshakeError::Alert(_) => HandshakeFailure::Alert,
            HandshakeError::Protocol(_) => HandshakeFailure::Protocol,
        }
    }
}

impl From<HandshakeError> for CloseReason {
    fn from(error: HandshakeError) -> CloseReason {
        match error {
            HandshakeError::Lost(error) => error.into(),
            error => CloseReason::Handshake(error.into()),
        }
    }
}

impl HandshakeFailure {
    /// All of them, in the order in which they are declared.
    pub const ALL: [HandshakeFailure; 11] = [
        HandshakeFailure::Lost,
        HandshakeFailure::TooLarge,
        HandshakeFailure::NotTls,
        HandshakeFailure::UnrecognizedName,
        HandshakeFailure::NoApplicationProtocol,
        HandshakeFailure::NothingInCommon,
        HandshakeFailure::ClientCertificate,
        HandshakeFailure::Alert,
        HandshakeFailure::Protocol,
        HandshakeFailure::Timeout,
        HandshakeFailure::Cut,
    ];

    /// The label `reason` of a metric for it.
    pub fn label(self) -> &'static str {
        match self {
            HandshakeFailure::Lost => "lost",
            HandshakeFailure::TooLarge => "too_large",
            HandshakeFailure::NotTls => "not_tls",
            HandshakeFailure::UnrecognizedName => "unrecognized_name",
            HandshakeFailure::NoApplicationProtocol => "no_application_protocol",
            HandshakeFailure::NothingInCommon => "nothing_in_common",
            HandshakeFailure::ClientCertificate => "client_certificate",
            HandshakeFailure::Alert => "alert",
            HandshakeFailure::Protocol => "protocol",
            HandshakeFailure::Timeout => "timeout",
            HandshakeFailure::Cut => "cut",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_found_at_its_own_place() {
        for (index, failure) in HandshakeFailure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index, "{failure:?}");
        }
    }
}
