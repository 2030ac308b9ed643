//! WebSockets on a server, over real sockets, against tungstenite's client and against raw frames.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use heist_net::http::Body;
use heist_net::server::{
    Accepted, Address, CloseKind, CloseReason, Limits as ServerLimits, Listener, Server,
};
use heist_net::{Builder, Runtime};
use heist_websocket::{CloseCode, Error, Handshake, Limits, Message, WebSocket};
use hyper::Request;
use hyper::service::service_fn;
use proptest::prelude::*;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::CloseFrame;

type Client = tungstenite::WebSocket<TcpStream>;

struct Site {
    server: Arc<Server>,
    runtime: Runtime,
    /// How each WebSocket has ended.
    ends: Receiver<Result<(), String>>,
}

const SMALL: Limits =
    Limits { message: 100_000, frame: 50_000, close_timeout: Duration::from_secs(3600) };

impl Site {
    fn echo(limits: Limits) -> Site {
        Site::with(ServerLimits::default(), limits)
    }

    fn with(server: ServerLimits, limits: Limits) -> Site {
        let (ended, ends) = channel();
        let runtime = Builder::new().ignore_environment().workers(2).start().unwrap();
        let service = service_fn(move |mut request: Request<Body>| {
            let ended = ended.clone();
            async move {
                let mut handshake = match Handshake::of(&mut request) {
                    Ok(handshake) => handshake,
                    Err(refused) => {
                        return Ok::<_, Error>(refused.response().map(|()| refused.to_string()));
                    }
                };
                handshake.choose_protocol("chat");
                let (response, upgrade) = handshake.accept(limits);
                drop(heist_scheduler::spawn(async move {
                    let outcome = async {
                        let mut socket = upgrade.await?;
                        while let Some(message) = socket.read().await? {
                            socket.send(message).await?;
                        }
                        Ok::<_, Error>(())
                    };
                    let outcome = outcome.await.map_err(|error| error.to_string());
                    ended.send(outcome).unwrap();
                }));
                Ok(response.map(|()| String::new()))
            }
        });
        let builder =
            Server::builder().listen(Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap());
        let server = builder.limits(server).http(service).start_on(runtime.handle()).unwrap();
        Site { server: Arc::new(server), runtime, ends }
    }

    fn address(&self) -> SocketAddr {
        match &self.server.addresses()[0] {
            Address::Tcp(address) => *address,
            other => panic!("not where this listens: {other:?}"),
        }
    }

    fn connect(&self) -> Client {
        connect(self.address())
    }

    /// Until the server has counted an end of this kind.
    fn await_closed(&self, kind: CloseKind) {
        while self.server.metrics().closed_by(kind) == 0 {
            thread::yield_now();
        }
    }
}

fn stream(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.set_write_timeout(Some(GUARD)).unwrap();
    stream
}

fn connect(address: SocketAddr) -> Client {
    tungstenite::client(format!("ws://{address}/"), stream(address)).unwrap().0
}

/// A frame with a mask of zeros, which leaves its payload as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ ..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Reads up to the Close of the server, and returns its code.
fn close_code(client: &mut Client) -> u16 {
    loop {
        match client.read().expect("the server sends Close") {
            Message::Close(Some(CloseFrame { code, .. })) => return code.into(),
            Message::Close(None) => panic!("a Close without a code"),
            _ => {}
        }
    }
}

#[test]
fn messages_of_all_lengths_come_back_and_the_close_is_answered() {
    let site = Site::echo(Limits::default());
    let mut client = site.connect();
    for length in [0, 1, 125, 126, 4_096, 65_535, 65_536, 1024 * 1024] {
        let binary = Message::from(vec![7; length]);
        client.send(binary.clone()).unwrap();
        assert_eq!(client.read().unwrap(), binary);
        let text = Message::from("ü".repeat(length / 2));
        client.send(text.clone()).unwrap();
        assert_eq!(client.read().unwrap(), text);
    }
    client.close(Some(CloseFrame { code: CloseCode::Normal, reason: "done".into() })).unwrap();
    assert_eq!(close_code(&mut client), 1000);
    assert!(matches!(client.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(site.ends.recv_timeout(GUARD).unwrap(), Ok(()));
    site.await_closed(CloseKind::Finished);
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}

#[test]
fn pings_are_answered_between_the_fragments_of_a_message() {
    let site = Site::echo(SMALL);
    let mut client = site.connect();
    let socket = client.get_mut();
    socket.write_all(&frame(0x01, b"one, ")).unwrap();
    for _ in 0..20_000 {
        socket.write_all(&frame(0x89, b"?")).unwrap();
        // The answers are read, or the server would wait for this peer to take them.
        let mut pong = [0; 3];
        socket.read_exact(&mut pong).unwrap();
        assert_eq!(pong, [0x8a, 1, b'?']);
    }
    socket.write_all(&frame(0x80, b"two")).unwrap();
    assert_eq!(client.read().unwrap(), Message::from("one, two"));
}

/// Failure 64: a message in fragments without end takes memory without end.
#[test]
fn message_that_is_too_long_is_answered_1009_and_counted() {
    let whole = frame(0x82, &[0; 50_001]);
    let announced = [&[0x82, 0xff, 0x7f][..], &[0; 11]].concat();
    let fragments =
        [frame(0x02, &[0; 50_000]), frame(0x00, &[0; 50_000]), frame(0x00, b"x")].concat();
    let empty = [frame(0x02, b""), frame(0x00, b"").repeat(60_000)].concat();
    for (name, bytes) in
        [("a frame", whole), ("a head", announced), ("fragments", fragments), ("empty ones", empty)]
    {
        let site = Site::echo(SMALL);
        let mut client = site.connect();
        // The server may have closed before all of it is sent.
        let _ = client.get_mut().write_all(&bytes);
        assert_eq!(close_code(&mut client), 1009, "{name}");
        let end = site.ends.recv_timeout(GUARD).unwrap().unwrap_err();
        assert!(end.contains("too long"), "{name}: {end}");
        drop(client);
        site.await_closed(CloseKind::Protocol);
        assert_eq!(site.server.metrics().buffered_bytes, 0, "{name}");
    }
}

#[test]
fn malformed_input_is_answered_by_the_code_for_it() {
    for (bytes, code) in [
        (frame(0x81, b"\xff"), 1007),
        (frame(0x83, b""), 1002),
        (frame(0xc1, b""), 1002),
        (frame(0x80, b"no beginning"), 1002),
        (frame(0x89, &[0; 126]), 1002),
        (frame(0x09, b"a ping in fragments"), 1002),
        (vec![0x81, 1, b'a'], 1002),
    ] {
        let site = Site::echo(SMALL);
        let mut client = site.connect();
        client.get_mut().write_all(&bytes).unwrap();
        assert_eq!(close_code(&mut client), code, "{bytes:?}");
        drop(client);
        site.await_closed(CloseKind::Protocol);
    }
}

/// Failure: partial messages of many peers together take more than the server may buffer.
#[test]
fn partial_messages_are_charged_to_the_servers_budget() {
    let limits = ServerLimits { buffered_bytes: 60_000, ..ServerLimits::default() };
    let site = Site::with(limits, SMALL);
    let (mut first, mut second) = (site.connect(), site.connect());
    first.get_mut().write_all(&frame(0x02, &[0; 40_000])).unwrap();
    while site.server.metrics().buffered_bytes < 40_000 {
        thread::yield_now();
    }
    second.get_mut().write_all(&frame(0x02, &[0; 40_000])).unwrap();
    assert_eq!(close_code(&mut second), 1013);
    drop(second);
    site.await_closed(CloseKind::Memory);
    // The other one goes on.
    first.get_mut().write_all(&frame(0x80, b"x")).unwrap();
    assert_eq!(first.read().unwrap().len(), 40_001);
}

#[test]
fn drain_sends_1001_and_waits_for_the_close_of_the_peer() {
    let site = Site::echo(SMALL);
    let mut client = site.connect();
    client.send(Message::from("hello")).unwrap();
    client.read().unwrap();
    let (server, runtime) = (Arc::clone(&site.server), site.runtime.handle().clone());
    let drain = thread::spawn(move || runtime.block_on(server.drain(GUARD)));
    assert_eq!(close_code(&mut client), 1001);
    assert!(matches!(client.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(site.ends.recv_timeout(GUARD).unwrap(), Ok(()));
    drain.join().unwrap();
    assert_eq!(site.server.metrics().closed_by(CloseKind::Drained), 1);
}

#[test]
fn peer_that_does_not_close_is_waited_for_no_longer_than_the_limit() {
    let site = Site::echo(Limits { close_timeout: Duration::from_millis(1), ..SMALL });
    let mut client = site.connect();
    client.send(Message::from("hello")).unwrap();
    client.read().unwrap();
    let (server, runtime) = (Arc::clone(&site.server), site.runtime.handle().clone());
    let drain = thread::spawn(move || runtime.block_on(server.drain(GUARD)));
    // The peer reads nothing and sends nothing.
    assert_eq!(site.ends.recv_timeout(GUARD).unwrap(), Ok(()));
    drain.join().unwrap();
    drop(client);
}

#[test]
fn peer_that_is_gone_is_an_error() {
    let site = Site::echo(SMALL);
    drop(site.connect());
    let end = site.ends.recv_timeout(GUARD).unwrap().unwrap_err();
    assert!(end.contains("lost"), "{end}");
    site.await_closed(CloseKind::Lost);
}

#[test]
fn subprotocol_is_one_that_the_peer_offers() {
    let site = Site::echo(SMALL);
    for (offered, chosen) in [(Some("x, chat"), Some("chat")), (Some("x"), None), (None, None)] {
        let mut request = format!("ws://{}/", site.address()).into_client_request().unwrap();
        if let Some(offered) = offered {
            let offered = offered.parse().unwrap();
            request.headers_mut().insert("sec-websocket-protocol", offered);
        }
        let stream = stream(site.address());
        let answer = match tungstenite::client(request, stream) {
            Ok((_, answer)) => answer,
            // tungstenite's client asks for one of those it offers.
            Err(_) if chosen.is_none() => continue,
            Err(error) => panic!("{error}"),
        };
        let protocol = answer.headers().get("sec-websocket-protocol");
        assert_eq!(protocol.map(|value| value.to_str().unwrap()), chosen);
    }
}

#[test]
fn requests_that_open_no_websocket_are_refused() {
    const ASKED: &str = "connection: upgrade\r\nupgrade: websocket\r\n";
    const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "sec-websocket-version: 13\r\n";
    let site = Site::echo(SMALL);
    for (method, fields, status) in [
        ("GET", String::new(), "426"),
        ("GET", "connection: upgrade\r\nupgrade: other\r\n".to_owned(), "426"),
        ("GET", format!("{ASKED}{KEY}"), "426"),
        ("GET", format!("{ASKED}{KEY}sec-websocket-version: 8\r\n"), "426"),
        ("GET", format!("{ASKED}{VERSION}"), "400"),
        ("GET", format!("{ASKED}{VERSION}sec-websocket-key: short\r\n"), "400"),
        ("GET", format!("{ASKED}{VERSION}{KEY}{KEY}"), "400"),
        ("POST", format!("{ASKED}{VERSION}{KEY}"), "405"),
        ("GET", format!("{ASKED}{VERSION}{KEY}"), "101"),
    ] {
        let mut stream = stream(site.address());
        write!(stream, "{method} / HTTP/1.1\r\nhost: test\r\n{fields}\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(std::str::from_utf8(&head[9..]).unwrap(), status, "{method} {fields}");
    }
}

#[test]
fn websocket_without_http_works_on_a_transport() {
    let runtime = Builder::new().ignore_environment().workers(1).start().unwrap();
    let server = Server::builder()
        .listen(Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap())
        .accepted(async |accepted: Accepted| {
            let Accepted { stream, drain, server, .. } = accepted;
            let Ok(socket) = WebSocket::accept(stream, SMALL).await else {
                return CloseReason::HandshakeTimeout;
            };
            let mut socket = socket.closed_by(drain).charged_to(server);
            while let Ok(Some(message)) = socket.read().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
            CloseReason::Drained
        })
        .start_on(runtime.handle())
        .unwrap();
    let Address::Tcp(address) = server.addresses()[0].clone() else { unreachable!() };
    let mut client = connect(address);
    client.send(Message::from("hello")).unwrap();
    assert_eq!(client.read().unwrap(), Message::from("hello"));
    let mut bad = stream(address);
    bad.write_all(b"nothing of the kind\r\n\r\n").unwrap();
    assert_eq!(bad.read_to_end(&mut Vec::new()).unwrap_or(0), 0);
    let server = Arc::new(server);
    let drained = Arc::clone(&server);
    let handle = runtime.handle().clone();
    let drain = thread::spawn(move || handle.block_on(drained.drain(GUARD)));
    assert_eq!(close_code(&mut client), 1001);
    let _ = client.read();
    drain.join().unwrap();
    assert_eq!(server.metrics().closed_by(CloseKind::Drained), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Failure: what a message is depends on how it is cut.
    #[test]
    fn fragments_and_pieces_do_not_change_the_messages(
        messages in proptest::collection::vec(
            (any::<bool>(), "[a-zü€]{0,300}", proptest::collection::vec(0_usize..300, 0..4)),
            1..6,
        ),
        pieces in proptest::collection::vec(1_usize..200, 1..5),
    ) {
        let mut bytes = Vec::new();
        for (is_text, text, cuts) in &messages {
            let payload = text.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([payload.len()]);
            let (mut start, mut opcode) = (0, if *is_text { 1 } else { 2 });
            let last = cuts.len();
            for (index, end) in ends.enumerate() {
                let fin = if index == last { 0x80 } else { 0 };
                bytes.extend(frame(fin | opcode, &payload[start..end]));
                bytes.extend(frame(0x8a, b"a pong that nothing asked for"));
                (start, opcode) = (end, 0);
            }
        }
        let site = Site::echo(SMALL);
        let mut client = site.connect();
        let mut sizes = pieces.iter().cycle();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            client.get_mut().write_all(piece).unwrap();
            rest = behind;
        }
        for (is_text, text, _) in &messages {
            let came = client.read().unwrap();
            prop_assert_eq!(came.is_text(), *is_text);
            let data = came.into_data();
            prop_assert_eq!(&data[..], text.as_bytes());
        }
    }
}

const GUARD: Duration = Duration::from_secs(60);
