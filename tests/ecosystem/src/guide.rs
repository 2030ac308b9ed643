//! The pages of `docs/guide`. Each program in them is a test of the documentation of this crate, with all
//! crates of this workspace. Lines that begin with `# ` are hidden in the book. A program that serves until
//! SIGTERM, at a port of its own, is ended by two of them:
//!
//! ```text
//! let address = "127.0.0.1:7000".parse()?;
//! # let address = heist_ecosystem::guide::any_port(address);
//! let listener = Listener::tcp(address)?;
//! # heist_ecosystem::guide::visit(&listener, "hello\n", "hello\n");
//! ```

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use heist::server::{Address, Listener};
use rustix::process::{Signal, getpid, kill_process};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

/// A request that asks for a WebSocket.
pub const WEBSOCKET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// How a client of HTTP/2 begins: the preface, and a SETTINGS frame that sets nothing.
pub const HTTP2: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The acknowledgement of the settings.
pub const HTTP2_ACK: &str = "\0\0\0\x04\x01\0\0\0\0";

/// `address` with a port that the system chooses.
#[must_use]
pub fn any_port(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), 0)
}

/// Connects to `listener` from a thread, sends `request`, and reads until `answer` has come. Then the
/// process is sent SIGTERM, which it should end by. If the peer answers otherwise, or SIGTERM is not taken,
/// the process exits with the reason.
///
/// # Panics
///
/// If `listener` is not one of TCP.
pub fn visit(listener: &Listener, request: &'static str, answer: &'static str) {
    visit_by(listener, |address| talk(&mut connect(address)?, request, answer));
}

/// As [`visit`], by TLS, with the certificate that [`enter_folder_with_certificate`] has made.
///
/// # Panics
///
/// If `listener` is not one of TCP.
pub fn visit_by_tls(listener: &Listener, request: &'static str, answer: &'static str) {
    visit_by(listener, |address| {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file("cert.pem").map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        talk(&mut StreamOwned::new(client, connect(address)?), request, answer)
    });
}

/// Makes a folder with `cert.pem` and `key.pem` for `localhost` the current one, until it is dropped.
///
/// # Panics
///
/// If the files cannot be written.
#[must_use]
pub fn enter_folder_with_certificate() -> TempDir {
    let folder = TempDir::new().expect("a folder is made");
    env::set_current_dir(&folder).expect("the folder is entered");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate is made");
    fs::write("cert.pem", made.cert.pem()).expect("the certificate is written");
    fs::write("key.pem", made.signing_key.serialize_pem()).expect("the key is written");
    folder
}

/// The address of a site of HTTP/1 that answers one request with `text`, for a program that is a client.
///
/// # Panics
///
/// If the loopback has no free port.
#[must_use]
pub fn site(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    thread::spawn(move || {
        let (mut stream, _peer) = listener.accept()?;
        let count = stream.read(&mut [0; 4096])?;
        assert!(count > 0, "the client sends a request");
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())
    });
    format!("http://{address}/")
}

fn visit_by(listener: &Listener, talk: impl FnOnce(SocketAddr) -> io::Result<()> + Send + 'static) {
    let Address::Tcp(address) = listener.address().clone() else {
        panic!("the program listens on TCP");
    };
    thread::spawn(move || {
        let reason = match talk(address) {
            Ok(()) => {
                kill_process(getpid(), Signal::TERM).expect("a process can signal itself");
                thread::sleep(GUARD);
                "the process does not end by SIGTERM".to_owned()
            }
            Err(error) => error.to_string(),
        };
        eprintln!("the visit of {address}: {reason}");
        process::exit(1)
    });
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(GUARD))?;
    Ok(stream)
}

fn talk(stream: &mut (impl Read + Write), request: &str, answer: &str) -> io::Result<()> {
    stream.write_all(request.as_bytes())?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&received).contains(answer) {
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::other(String::from_utf8_lossy(&received))),
            count => received.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(())
}

/// A guard against a hang.
const GUARD: Duration = Duration::from_secs(60);

/// The README, and one item for each page in the order of `SUMMARY.md`.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    pub struct Readme;

    #[doc = include_str!("../../../docs/guide/src/first-server.md")]
    pub struct FirstServer;

    #[doc = include_str!("../../../docs/guide/src/coming-from-tokio.md")]
    pub struct ComingFromTokio;

    #[doc = include_str!("../../../docs/guide/src/axum.md")]
    pub struct Axum;

    #[doc = include_str!("../../../docs/guide/src/tls.md")]
    pub struct Tls;

    #[doc = include_str!("../../../docs/guide/src/http-clients.md")]
    pub struct HttpClients;

    #[doc = include_str!("../../../docs/guide/src/databases.md")]
    pub struct Databases;

    #[doc = include_str!("../../../docs/guide/src/beside-tokio.md")]
    pub struct BesideTokio;

    #[doc = include_str!("../../../docs/guide/src/tasks.md")]
    pub struct Tasks;

    #[doc = include_str!("../../../docs/guide/src/grpc.md")]
    pub struct Grpc;

    #[doc = include_str!("../../../docs/guide/src/limits.md")]
    pub struct Limits;

    #[doc = include_str!("../../../docs/guide/src/fairness.md")]
    pub struct Fairness;

    #[doc = include_str!("../../../docs/guide/src/testing.md")]
    pub struct Testing;

    #[doc = include_str!("../../../docs/guide/src/metrics.md")]
    pub struct Metrics;

    #[doc = include_str!("../../../docs/guide/src/ecosystem.md")]
    pub struct Ecosystem;
}
