//! What a handshake has agreed on.

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion, SupportedProtocolVersion};

use super::session::Session;

/// What the handshake of a [`TlsStream`](super::TlsStream) has agreed on.
///
/// HTTP services of a server find it as `Arc<TlsInfo>` in the extensions of each request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of the protocol.
    pub version: Version,
    /// The cipher suite by its IANA name, for example `TLS13_AES_128_GCM_SHA256`.
    pub cipher_suite: &'static str,
    /// The name that the client asked for (SNI). A client that connects to an address has that here,
    /// and sends none.
    pub server_name: Option<String>,
    /// The protocol that both sides have agreed on (ALPN).
    pub alpn: Option<Vec<u8>>,
    /// Whether the session was resumed by a ticket.
    pub resumed: bool,
    /// The peer's certificate and its issuers as DER, verified; empty if it sent none.
    pub peer_certificates: Vec<Vec<u8>>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2, RFC 5246.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

impl Version {
    /// Both of them, the older one first.
    pub const ALL: [Version; 2] = [Version::Tls12, Version::Tls13];

    /// The label `version` of a metric for it.
    pub fn label(self) -> &'static str {
        match self {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        }
    }

    /// Those of rustls, from this one on.
    pub(super) fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        static ALL: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
        match self {
            Version::Tls12 => &ALL,
            Version::Tls13 => &ALL[1..],
        }
    }

    pub(super) fn of(session: &Session) -> Version {
        match session.tls().protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Version::Tls13,
            // No older one is enabled.
            _ => Version::Tls12,
        }
    }
}

impl TlsInfo {
    pub(super) fn of(session: &Session) -> TlsInfo {
        let tls = session.tls();
        let suite = tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let certificates = tls.peer_certificates().unwrap_or_default();
        TlsInfo {
            version: Version::of(session),
            cipher_suite: suite.unwrap_or("unknown"),
            server_name: session.server_name().map(Into::into),
            alpn: tls.alpn_protocol().map(Into::into),
            resumed: is_resumed(session),
            peer_certificates: certificates.iter().map(|one| one.to_vec()).collect(),
        }
    }
}

pub(super) fn is_resumed(session: &Session) -> bool {
    session.tls().handshake_kind() == Some(HandshakeKind::Resumed)
}
