//! rustls' client over a blocking socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use heist_net::Server;
use heist_net::server::Address;
use rustls::client::Resumption;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
};

use crate::authority::{Authority, Issued};
use crate::common::GUARD;

/// What the client is like.
pub(crate) struct ClientOptions {
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) certificate: Option<Issued>,
    pub(crate) sends_name: bool,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            versions: vec![&TLS12, &TLS13],
            alpn: Vec::new(),
            certificate: None,
            sends_name: true,
        }
    }
}

impl ClientOptions {
    pub(crate) fn config(self, authority: &Authority) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().to_vec().into()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some(Issued { certificate, key }) => builder
                .with_client_auth_cert(
                    vec![certificate.into()],
                    PrivateKeyDer::try_from(key).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = self.alpn;
        config.enable_sni = self.sends_name;
        config.resumption = Resumption::in_memory_sessions(8);
        Arc::new(config)
    }
}

/// A client that speaks with a server and fails instead of hanging.
pub(crate) struct Client {
    pub(crate) tls: ClientConnection,
    pub(crate) socket: TcpStream,
}

impl Client {
    pub(crate) fn new(server: &Server, config: &Arc<ClientConfig>, name: &str) -> Client {
        Client { tls: tls(config, name), socket: connect(server) }
    }

    /// Completes the handshake.
    pub(crate) fn handshake(&mut self) -> io::Result<()> {
        while self.tls.is_handshaking() {
            self.tls.complete_io(&mut self.socket)?;
        }
        Ok(())
    }

    /// The alert by which the server refuses the handshake, or the session right after it: a server of
    /// TLS 1.3 refuses a client's certificate when the client believes the handshake complete.
    pub(crate) fn refusal(&mut self) -> AlertDescription {
        let outcome = self.handshake().and_then(|()| self.read(&mut [0]).map(drop));
        let error = outcome.unwrap_err();
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("no alert, but {error:?}"),
        }
    }

    pub(crate) fn ask(&mut self, text: &str) {
        self.ask_rest(text.as_bytes(), text.as_bytes());
    }

    /// Sends the last part of a question, and expects the answer.
    pub(crate) fn ask_rest(&mut self, last: &[u8], expected: &[u8]) {
        self.write_all(last).unwrap();
        let mut answer = vec![0; expected.len()];
        self.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(expected));
    }

    /// Says that nothing more comes.
    pub(crate) fn close_notify(&mut self) {
        self.tls.send_close_notify();
        self.push();
    }

    /// The handshake up to the client's last flight, which is held back.
    pub(crate) fn receive_handshake(&mut self) {
        self.push();
        while self.tls.is_handshaking() {
            self.tls.read_tls(&mut self.socket).unwrap();
            self.tls.process_new_packets().unwrap();
        }
    }

    /// What the session wants to send.
    pub(crate) fn outgoing(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Sends what the session wants to.
    pub(crate) fn push(&mut self) {
        let bytes = self.outgoing();
        self.socket.write_all(&bytes).unwrap();
    }

    fn stream(&mut self) -> rustls::Stream<'_, ClientConnection, TcpStream> {
        rustls::Stream::new(&mut self.tls, &mut self.socket)
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream().read(buffer)
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream().flush()
    }
}

pub(crate) fn tls(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    ClientConnection::new(Arc::clone(config), name).unwrap()
}

pub(crate) fn address(server: &Server) -> SocketAddr {
    let Address::Tcp(address) = server.addresses()[0] else { panic!("not TCP") };
    address
}

pub(crate) fn connect(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(address(server)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    socket.set_write_timeout(Some(GUARD)).unwrap();
    socket
}

/// Reads the socket to its end, whatever that is.
pub(crate) fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = socket.read(&mut buffer) {
        rest.extend_from_slice(&buffer[..count]);
    }
    rest
}
