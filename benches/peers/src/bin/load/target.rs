//! What a load is for: a server, and how it is spoken to.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, version};

use crate::{http2, mix};

/// A server, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) wire: Wire,
}

impl Target {
    /// A new connection.
    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        let stream = match self.wire.source {
            None => TcpStream::connect(self.address)?,
            Some(source) => {
                let family = match self.address {
                    SocketAddr::V4(_) => AddressFamily::INET,
                    SocketAddr::V6(_) => AddressFamily::INET6,
                };
                let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
                bind(&socket, &SocketAddr::new(source, 0))?;
                connect(&socket, &self.address)?;
                TcpStream::from(socket)
            }
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// How requests travel.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    /// The address that connections come from; `None` where the kernel chooses it.
    pub(crate) source: Option<IpAddr>,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Streams of HTTP/2 on each connection of a closed loop; `None` for HTTP/1.1.
    pub(crate) streams: Option<usize>,
    /// Whether each connection takes up the session of an earlier one.
    pub(crate) resumed: bool,
}

impl Wire {
    /// HTTP/1.1 over TLS; `resumed` sessions, or a full handshake for each connection.
    pub(crate) fn tls(resumed: bool) -> Wire {
        Wire { tls: Some(Arc::new(config(b"http/1.1", resumed))), resumed, ..Wire::default() }
    }

    /// HTTP/2 over TLS.
    pub(crate) fn http2(streams: usize) -> Wire {
        let tls = Some(Arc::new(config(b"h2", false)));
        Wire { tls, streams: Some(streams), ..Wire::default() }
    }

    /// HTTP/2 without TLS, by prior knowledge.
    pub(crate) fn prior_knowledge(streams: usize) -> Wire {
        Wire { streams: Some(streams), ..Wire::default() }
    }

    /// HTTP/1.1 without TLS, from that address.
    pub(crate) fn from(source: IpAddr) -> Wire {
        Wire { source: Some(source), ..Wire::default() }
    }

    /// The bytes that ask for `/PATH`.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        match self.streams {
            None => mix::get(path),
            Some(_) => http2::get(path),
        }
    }

    /// Requests that a closed loop keeps under way on each connection.
    pub(crate) fn depth(&self) -> usize {
        self.streams.unwrap_or(1)
    }
}

/// One protocol version, cipher suite and key exchange, so that every server does the same work.
fn config(alpn: &[u8], resumed: bool) -> ClientConfig {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    });
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let mut config = builder
        .with_protocol_versions(&[&version::TLS13])
        .expect("the suite is one of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    if !resumed {
        config.resumption = Resumption::disabled();
    }
    config
}

/// Takes any certificate, as other generators of load do: verifying it would cost the load more than
/// signing costs a server.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
