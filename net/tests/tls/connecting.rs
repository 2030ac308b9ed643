//! Client sessions: heist's connector, with heist's server and with rustls' blocking one.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use heist_net::protocol::{Connection, Context, Error, Protocol};
use heist_net::server::Limits;
use heist_net::tls::{
    Certificate, ClientAuth, ClientConfig, ClientConfigBuilder, ClientRoots, ConfigError,
    ConnectError, Connector, Source, TlsStream, Version,
};
use heist_net::{TcpStream, Transport};
use rustls::{ServerConfig, ServerConnection};

use crate::authority::{Authority, Issued};
use crate::client::address;
use crate::common::{GUARD, run};
use crate::stage::{Stage, echo};

/// A client that trusts `authority`.
fn settings(authority: &Authority) -> ClientConfigBuilder {
    ClientConfig::builder().roots(Source::Pem(authority.pem().into()))
}

fn connector(settings: ClientConfigBuilder) -> Connector {
    // However slow the machine is.
    Connector::new(settings.build().unwrap()).handshake_timeout(60 * GUARD)
}

async fn connect(connector: &Connector, stage: &Stage, name: &str) -> io::Result<TlsStream> {
    connector.connect(name, TcpStream::connect(address(&stage.server)).await?).await
}

/// Sends `bytes`, and expects them back.
async fn exchange(stream: &mut TlsStream, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    let mut answer = vec![0; bytes.len()];
    let mut filled = 0;
    while filled < answer.len() {
        let count = stream.read(&mut answer[filled..]).await.unwrap();
        assert_ne!(count, 0, "the stream ends in the answer");
        filled += count;
    }
    assert!(answer == bytes);
}

/// Ends in order, on both sides.
async fn end(mut stream: TlsStream) {
    stream.finish().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the end stays the end");
}

fn failure(outcome: io::Result<TlsStream>) -> (ErrorKind, ConnectError) {
    let error = outcome.map(drop).unwrap_err();
    let kind = error.kind();
    (kind, *error.into_inner().unwrap().downcast().unwrap())
}

#[test]
fn client_and_server_agree_and_end_in_order() {
    let stage = Stage::with(|config| config.alpn(["old", "new"]), Limits::default(), echo);
    let connector = connector(settings(&stage.authority).alpn(["new", "other"]));
    run(async {
        let mut stream = connect(&connector, &stage, "localhost").await.unwrap();
        let info = Arc::clone(stream.info());
        assert_eq!(info.version, Version::Tls13);
        assert_eq!(info.server_name.as_deref(), Some("localhost"));
        assert_eq!(info.alpn.as_deref(), Some(&b"new"[..]));
        assert_eq!(info.peer_certificates.len(), 1);
        assert!(!info.resumed);
        for length in [1, 1000, 16 * 1024, 16 * 1024 + 1, 100_000] {
            exchange(&mut stream, &vec![7; length]).await;
        }
        end(stream).await;
    });
    assert_eq!(stage.metrics().completed(), 1);
}

/// Failure: a pool of clients keeps a buffer for each connection that waits.
#[test]
fn idle_client_owns_no_buffer() {
    let stage = Stage::echo();
    let connector = connector(settings(&stage.authority));
    run(async {
        let mut stream = connect(&connector, &stage, "localhost").await.unwrap();
        assert_eq!((stream.memory(), stream.unsent()), (0, 0), "behind the handshake");
        exchange(&mut stream, &[1; 50_000]).await;
        assert_eq!((stream.memory(), stream.unsent()), (0, 0), "behind an exchange");
    });
}

#[test]
fn second_session_is_resumed() {
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        |mut stream| async move {
            // The client has the tickets when it has this.
            stream.write_all(b"hello").await?;
            echo(stream).await
        },
    );
    for oldest in [Version::Tls12, Version::Tls13] {
        let connector = connector(settings(&stage.authority).oldest(oldest));
        let clone = Connector::new(connector.config().with_alpn(["any"]));
        run(async {
            for (connector, resumed) in [(&connector, false), (&connector, true), (&clone, true)] {
                let mut stream = connect(connector, &stage, "localhost").await.unwrap();
                assert_eq!(stream.info().resumed, resumed);
                assert_ne!(stream.read(&mut [0; 5]).await.unwrap(), 0);
                end(stream).await;
            }
        });
    }
}

#[test]
fn stream_that_the_server_cuts_is_told_from_a_finished_one() {
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        |mut stream| async move { stream.write_all(b"half of").await },
    );
    let connector = connector(settings(&stage.authority));
    run(async {
        let mut stream = connect(&connector, &stage, "localhost").await.unwrap();
        let (mut received, mut buffer) = (Vec::new(), [0; 100]);
        let error = loop {
            match stream.read(&mut buffer).await {
                Ok(count) => received.extend_from_slice(&buffer[..count]),
                Err(error) => break error,
            }
            assert!(received.len() < 100, "the cut is taken for an end");
        };
        assert_eq!((error.kind(), &received[..]), (ErrorKind::UnexpectedEof, &b"half of"[..]));
    });
}

#[test]
fn refused_certificates_are_named() {
    let stage = Stage::echo();
    let expected =
        |name: &str| format!("the certificate of {name} is refused: invalid peer certificate: ");
    let stranger = connector(settings(&Authority::new()));
    let friend = connector(settings(&stage.authority));
    run(async {
        let (kind, error) = failure(connect(&stranger, &stage, "localhost").await);
        assert_eq!(kind, ErrorKind::InvalidData);
        assert!(matches!(error, ConnectError::Certificate { .. }), "{error:?}");
        let text = error.to_string();
        // Both authorities have the same name.
        assert!(text.starts_with(&expected("localhost")), "{text}");

        let (_, error) = failure(connect(&friend, &stage, "example.org").await);
        assert!(matches!(error, ConnectError::Certificate { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(&expected("example.org")), "{text}");
        assert!(text.contains("localhost"), "{text}");

        let (kind, error) = failure(connect(&friend, &stage, "not a name").await);
        assert_eq!(kind, ErrorKind::InvalidInput);
        assert!(error.to_string().contains("not a name"), "{error}");
    });
}

/// A server of blocking sockets that serves one connection.
fn serve_once<T: Send + 'static>(
    serve: impl FnOnce(std::net::TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(GUARD)).unwrap();
        socket.set_write_timeout(Some(GUARD)).unwrap();
        serve(socket)
    });
    (address, thread)
}

#[test]
fn server_without_tls_is_told_from_a_broken_one() {
    let connector = connector(settings(&Authority::new()));
    let attempt = |serve: fn(std::net::TcpStream)| {
        let (address, thread) = serve_once(serve);
        let failed = run(async {
            failure(connector.connect("host", TcpStream::connect(address).await.unwrap()).await)
        });
        thread.join().unwrap();
        failed
    };
    let (_, error) = attempt(|mut socket| {
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = socket.read_to_end(&mut Vec::new());
    });
    assert_eq!(error.to_string(), "host does not speak TLS on this port");
    let (kind, error) = attempt(|mut socket| {
        // The whole `ClientHello`, so that the close is not a reset.
        let mut head = [0; 5];
        socket.read_exact(&mut head).unwrap();
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        socket.read_exact(&mut vec![0; length]).unwrap();
    });
    assert_eq!(kind, ErrorKind::UnexpectedEof);
    assert!(matches!(error, ConnectError::Lost { .. }), "{error:?}");
}

/// Failure: a server that accepts and says nothing holds up a client for ever.
#[test]
fn silent_server_is_given_up() {
    let (give_up, until) = mpsc::channel::<()>();
    let (address, thread) = serve_once(move |_socket| until.recv().unwrap_err());
    let limit = Duration::from_millis(20);
    let connector = connector(settings(&Authority::new())).handshake_timeout(limit);
    let (kind, error) = run(async {
        failure(connector.connect("host", TcpStream::connect(address).await.unwrap()).await)
    });
    assert_eq!(kind, ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "the TLS handshake with host took longer than 20ms");
    drop(give_up);
    thread.join().unwrap();
}

#[test]
fn client_without_a_protocol_of_the_server_is_told() {
    let stage = Stage::with(|config| config.alpn(["old"]), Limits::default(), echo);
    let connector = connector(settings(&stage.authority).alpn(["new"]));
    let (_, error) = run(async { failure(connect(&connector, &stage, "localhost").await) });
    assert!(matches!(error, ConnectError::NoApplicationProtocol { .. }), "{error:?}");
}

#[test]
fn server_sees_the_certificate_of_a_client() {
    let clients = Authority::new();
    let Issued { certificate, key } = clients.issue(&["client"]);
    let expected = certificate.clone();
    let roots = ClientRoots::new(Source::Pem(clients.pem().into()));
    let stage = Stage::with(
        |config| config.client_auth(ClientAuth::Required(roots)),
        Limits::default(),
        move |stream| {
            assert_eq!(stream.info().peer_certificates, std::slice::from_ref(&expected));
            echo(stream)
        },
    );
    let with = settings(&stage.authority).certificate(Certificate::der(vec![certificate], key));
    let (with, without) = (connector(with), connector(settings(&stage.authority)));
    run(async {
        let mut stream = connect(&with, &stage, "localhost").await.unwrap();
        exchange(&mut stream, b"hello").await;
        end(stream).await;
        // In TLS 1.3 the client has completed the handshake before the server refuses it.
        let mut stream = connect(&without, &stage, "localhost").await.unwrap();
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert!(error.to_string().contains("CertificateRequired"), "{error}");
    });
}

#[test]
fn client_needs_roots_and_its_own_key() {
    let error = ClientConfig::builder().build().unwrap_err();
    assert!(matches!(error, ConfigError::NoRoots), "{error:?}");
    assert!(error.to_string().contains("`roots`"), "{error}");

    let authority = Authority::new();
    let (one, other) = (authority.issue(&["one"]), authority.issue(&["other"]));
    let certificate = Certificate::der(vec![one.certificate], other.key);
    let error = settings(&authority).certificate(certificate).build().unwrap_err();
    assert!(matches!(error, ConfigError::KeyMismatch { .. }), "{error:?}");

    let error = ClientConfig::builder().roots("/nowhere/ca.pem").build().unwrap_err();
    assert!(
        error.to_string().starts_with("cannot read the authorities /nowhere/ca.pem"),
        "{error}"
    );
}

/// Sends a line when the connection is open, and finishes when it has come back.
struct Asks(mpsc::Sender<Vec<u8>>);

impl Protocol for Asks {
    type Message = std::convert::Infallible;

    fn opened(&mut self, cx: &mut Context<'_>) {
        cx.write(b"hello over TLS\n");
    }

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        if !input.ends_with(b"\n") {
            return Ok(0);
        }
        self.0.send(input.to_vec()).unwrap();
        cx.finish();
        Ok(input.len())
    }
}

#[test]
fn protocol_is_a_client_over_tls() {
    let stage = Stage::echo();
    let connector = connector(settings(&stage.authority));
    let (sender, answers) = mpsc::channel();
    run(async {
        let stream = connect(&connector, &stage, "localhost").await.unwrap();
        drop(Connection::on(stream, Asks(sender)).await);
    });
    assert_eq!(answers.try_iter().collect::<Vec<_>>(), [b"hello over TLS\n"]);
}

/// The server of rustls, with a certificate of `authority` for localhost.
fn rustls_server(authority: &Authority) -> ServerConnection {
    let Issued { certificate, key } = authority.issue(&["localhost"]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key.try_into().unwrap())
        .unwrap();
    ServerConnection::new(Arc::new(config)).unwrap()
}

#[test]
fn data_that_comes_with_the_handshake_is_read() {
    let authority = Authority::new();
    let mut tls = rustls_server(&authority);
    let (address, thread) = serve_once(move |mut socket| {
        // Behind its last flight, before it has the client's.
        tls.writer().write_all(&[9; 5000]).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        tls.send_close_notify();
        while tls.wants_write() {
            tls.write_tls(&mut socket).unwrap();
        }
        // Until the client closes.
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let connector = connector(settings(&authority));
    run(async {
        let socket = TcpStream::connect(address).await.unwrap();
        let mut stream = connector.connect("localhost", socket).await.unwrap();
        let (mut received, mut buffer) = (Vec::new(), [0; 700]);
        loop {
            match stream.read(&mut buffer).await.unwrap() {
                0 => break,
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
        assert!(received == [9; 5000]);
    });
    thread.join().unwrap();
}

/// Failure: the last flight of a client waits for its first write, and a server that speaks only after
/// that waits as well.
#[test]
fn handshake_is_complete_for_the_server_before_the_client_writes() {
    let authority = Authority::new();
    let mut tls = rustls_server(&authority);
    let (address, thread) = serve_once(move |mut socket| {
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
    });
    let connector = connector(settings(&authority));
    run(async {
        let socket = TcpStream::connect(address).await.unwrap();
        let _stream = connector.connect("localhost", socket).await.unwrap();
        heist_scheduler::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    });
}
