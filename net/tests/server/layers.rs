//! A layer between accept and service: all that holds for plain connections holds behind one.

use std::future::Future;
use std::io::{self, Read, Write};
use std::time::Duration;

use heist_net::server::{Accepted, CloseKind, CloseReason, Limits, Peer, Refusal, Serve};
use heist_net::{Server, Transport};

use crate::common::runtime;
use crate::masked::{HELLO, Masked, Masking, PANIC, masked};
use crate::stage::{Client, Echo, Stage, patient, server, until};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn echo_lines(limits: Limits) -> heist_net::server::Builder<impl Serve<Masked>, Masking> {
    server(limits).transport(Masking).protocol(|_: &Peer| Echo::default())
}

async fn echo_bytes(mut transport: impl Transport, _: Peer) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match transport.read(&mut buffer).await? {
            0 => return transport.finish().await,
            count => transport.write_all(&buffer[..count]).await?,
        }
    }
}

/// A client that masks what it sends.
struct MaskedClient(Client);

impl MaskedClient {
    fn new(server: &Server) -> MaskedClient {
        let mut client = Client::new(server);
        client.0.write_all(&[HELLO]).unwrap();
        MaskedClient(client)
    }

    fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        let bytes: Vec<u8> = bytes.iter().copied().map(masked).collect();
        self.0.0.write_all(&bytes).unwrap();
    }

    fn expect(&mut self, text: &str) {
        let mut answer = vec![0; text.len()];
        self.0.0.read_exact(&mut answer).unwrap();
        answer.iter_mut().for_each(|byte| *byte = masked(*byte));
        assert_eq!(String::from_utf8_lossy(&answer), text);
    }

    fn ask(&mut self, line: &str) {
        self.send(line);
        self.expect(line);
    }
}

/// Sends `sent` while nothing is read at first, then reads all that comes, and compares.
fn assert_echoed(mut client: MaskedClient, sent: &[u8]) {
    let mut reader = client.0.0.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.send_bytes(sent);
            client.0.0.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut echoed = Vec::new();
        reader.read_to_end(&mut echoed).unwrap();
        echoed.iter_mut().for_each(|byte| *byte = masked(*byte));
        assert!(echoed == sent, "{} bytes of {}", echoed.len(), sent.len());
    });
}

/// Failure: bytes that a layer had taken were sent twice, or never, once the socket was full.
#[test]
fn protocol_behind_a_layer_echoes_every_byte_once() {
    let runtime = runtime();
    let server = echo_lines(patient()).start_on(runtime.handle()).unwrap();
    let lines: String = (0..300_000).map(|number| format!("line {number}\n")).collect();
    assert_echoed(MaskedClient::new(&server), lines.as_bytes());
    until(|| server.metrics().closed_by(CloseKind::Finished) == 1);
    assert_eq!(server.metrics().buffered_bytes, 0);
    assert_eq!(server.metrics().bytes_written, lines.len() as u64);
    assert_eq!(server.metrics().bytes_read, lines.len() as u64 + 1);
}

#[test]
fn handler_behind_a_layer_echoes_every_byte_once() {
    let runtime = runtime();
    let server = server(patient()).transport(Masking).handler(echo_bytes);
    let server = server.start_on(runtime.handle()).unwrap();
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|number| (number % 251) as u8).collect();
    assert_echoed(MaskedClient::new(&server), &bytes);
    until(|| server.metrics().closed_by(CloseKind::Finished) == 1);
}

/// Failure: input that the layer had read ahead was waited for at the socket.
#[test]
fn input_that_the_layer_has_read_ahead_is_not_waited_for() {
    let stage = Stage::with_budget(4);
    let server = echo_lines(Limits::default()).start_on(stage.runtime.handle()).unwrap();
    let mut client = MaskedClient::new(&server);
    let lines = "0123456789\n".repeat(1000);
    client.send(&lines);
    client.expect(&lines);
}

#[test]
fn stalled_handshake_counts_and_is_closed_in_time() {
    let stage = Stage::new();
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = echo_lines(limits).start_on(stage.runtime.handle()).unwrap();
    let mut stalled = Client::new(&server);
    until(|| server.metrics().accepted == 1);
    // It waits in the backlog, behind the only connection that there may be.
    let mut next = MaskedClient::new(&server);
    stage.pass(seconds(9));
    assert_eq!(server.metrics().closed_by(CloseKind::HandshakeTimeout), 0);
    stage.pass(seconds(2));
    stalled.assert_closed();
    until(|| server.metrics().closed_by(CloseKind::HandshakeTimeout) == 1);
    next.ask("hello\n");
}

#[test]
fn proxy_header_comes_before_the_handshake_and_both_have_one_time() {
    let stage = Stage::new();
    let server = server(Limits::default())
        .proxy_protocol(["127.0.0.1".parse().unwrap()])
        .transport(Masking)
        .handler(async |mut transport: Masked, peer: Peer| {
            transport.write_all(format!("{peer}\n").as_bytes()).await?;
            echo_bytes(transport, peer).await
        })
        .start_on(stage.runtime.handle())
        .unwrap();
    let header = b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 443\r\n";
    let mut client = MaskedClient(Client::new(&server));
    // All of it in one segment.
    client
        .0
        .0
        .write_all(&[&header[..], &[HELLO], b"hello\n".map(masked).as_slice()].concat())
        .unwrap();
    client.expect("192.0.2.1:4321\nhello\n");
    let mut stalled = Client::new(&server);
    stalled.0.write_all(&header[..20]).unwrap();
    until(|| server.metrics().accepted == 2);
    stage.pass(seconds(6));
    stalled.0.write_all(&header[20..]).unwrap();
    stage.pass(seconds(6));
    stalled.assert_closed();
    until(|| server.metrics().closed_by(CloseKind::HandshakeTimeout) == 1);
}

/// Failure: the time of the handshake ended before the event of its last byte was taken.
#[test]
fn handshake_whose_end_came_in_time_is_whole() {
    let stage = Stage::new();
    let server = echo_lines(Limits::default()).start_on(stage.runtime.handle()).unwrap();
    let mut clients: Vec<_> = (0..300).map(|_| Client::new(&server)).collect();
    until(|| server.metrics().accepted == 300);
    stage.pass(seconds(0));
    stage.pass_unseen(seconds(11), || {
        for client in &mut clients {
            client.0.write_all(&[HELLO]).unwrap();
        }
    });
    for client in clients {
        MaskedClient(client).ask("hello\n");
    }
    assert_eq!(server.metrics().closed_by(CloseKind::HandshakeTimeout), 0);
}

#[test]
fn handshake_that_fails_or_panics_ends_its_own_connection() {
    let runtime = runtime();
    let server = echo_lines(patient()).start_on(runtime.handle()).unwrap();
    let mut used = MaskedClient::new(&server);
    for (byte, kind) in [(b'x', CloseKind::Handshake), (PANIC, CloseKind::Panicked)] {
        let mut client = Client::new(&server);
        client.0.write_all(&[byte]).unwrap();
        client.assert_closed();
        until(|| server.metrics().closed_by(kind) == 1);
        used.ask("still here\n");
    }
    let gone = Client::new(&server);
    drop(gone);
    until(|| server.metrics().closed_by(CloseKind::Lost) == 1);
}

/// Failure: the plain response of the service was sent to a peer that expects the layer's bytes.
#[test]
fn refused_connection_is_sent_nothing_that_is_not_the_layers() {
    struct Refusing;
    impl<T: Transport> Serve<T> for Refusing {
        fn serve(
            &self,
            _: Accepted<T>,
        ) -> impl Future<Output = CloseReason> + Send + 'static + use<T> {
            std::future::ready(CloseReason::Finished)
        }

        fn refusal(&self, _: Refusal) -> Option<&'static [u8]> {
            Some(b"not now")
        }
    }
    let runtime = runtime();
    let overloaded = server(Limits::default()).overloaded_by(|_| true);
    let plain = overloaded.serve(Refusing).start_on(runtime.handle()).unwrap();
    let overloaded = server(Limits::default()).overloaded_by(|_| true);
    let layered = overloaded.transport(Masking).serve(Refusing);
    let layered = layered.start_on(runtime.handle()).unwrap();
    assert_eq!(Client::new(&plain).rest(), "not now");
    assert_eq!(Client::new(&layered).rest(), "");
    for server in [plain, layered] {
        until(|| server.metrics().refused_for(Refusal::Overload) == 1);
    }
}

#[test]
fn drain_ends_a_stalled_handshake_and_serves_one_that_succeeds() {
    let stage = Stage::new();
    let server = echo_lines(Limits::default()).start_on(stage.runtime.handle()).unwrap();
    let (mut stalled, mut prompt) = (Client::new(&server), Client::new(&server));
    until(|| server.metrics().accepted == 2);
    let shared = std::sync::Arc::clone(server.shared());
    let drained = stage.runtime.spawn(async move { server.drain(seconds(30)).await });
    until(|| shared.is_draining());
    prompt.0.write_all(&[HELLO]).unwrap();
    let mut prompt = MaskedClient(prompt);
    prompt.ask("on its way\n");
    stage.pass(seconds(2));
    prompt.0.assert_closed();
    stalled.assert_closed();
    // Else it is waited for.
    drop(prompt);
    let report = stage.runtime.block_on(drained).unwrap();
    assert!(report.to_string().contains("1 idle closed, 0 force-closed"), "{report}");
}

#[test]
fn handshake_is_dropped_at_the_end_of_the_grace() {
    let runtime = runtime();
    let limits = Limits { drain_linger: seconds(60), ..patient() };
    let server = echo_lines(limits).start_on(runtime.handle()).unwrap();
    let mut stalled = Client::new(&server);
    until(|| server.metrics().accepted == 1);
    let shared = std::sync::Arc::clone(server.shared());
    runtime.block_on(server.drain(Duration::ZERO));
    stalled.assert_closed();
    assert!(shared.is_draining());
}

/// Failure: what the layer had taken was no output that waits: no limit applied to it.
#[test]
fn peer_that_takes_nothing_is_closed_behind_a_layer_too() {
    let stage = Stage::new();
    let server = echo_lines(Limits::default()).start_on(stage.runtime.handle()).unwrap();
    let mut client = MaskedClient::new(&server);
    let writer = client.0.0.try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        let line: Vec<u8> = b"0123456789\n".repeat(1000).into_iter().map(masked).collect();
        let mut writer = writer;
        // It ends when the server closes the connection.
        while writer.write_all(&line).is_ok() {}
    });
    until(|| server.metrics().buffered_bytes > 10_000);
    // The sockets' own buffers may still be filling.
    until(|| {
        stage.pass(seconds(31));
        server.metrics().closed_by(CloseKind::WriteTimeout) == 1
    });
    flood.join().unwrap();
    until(|| server.metrics().buffered_bytes == 0);
    let mut rest = Vec::new();
    let _ = client.0.0.read_to_end(&mut rest);
    assert!(!rest.is_empty());
}
