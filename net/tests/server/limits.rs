//! The limits of an open connection, on virtual time.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::time::Duration;

use heist_net::Server;
use heist_net::protocol::{self, Context, Protocol};
use heist_net::server::{CloseKind, Limits, Peer};
use socket2::SockRef;

use crate::common::{GUARD, runtime};
use crate::stage::{Client, Stage, echo, server, until};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn closed(server: &Server, ending: CloseKind) -> bool {
    server.metrics().closed_by(ending) == 1
}

/// Failure: an alert compares with a limit that is not in force.
#[test]
fn figures_tell_the_limits_in_force() {
    let runtime = runtime();
    let limits = Limits { connections: 7, buffered_bytes: 4096, ..Limits::default() };
    let server = echo(limits).start_on(runtime.handle()).unwrap();
    let metrics = server.metrics();
    assert_eq!((metrics.connections_limit, metrics.buffered_limit), (7, 4096));
}

#[test]
fn idle_connection_is_closed_and_a_used_one_is_not() {
    let stage = Stage::new();
    let server = echo(Limits::default()).start_on(stage.runtime.handle()).unwrap();
    let (mut used, mut idle) = (Client::new(&server), Client::new(&server));
    idle.ask("hello\n");
    for _ in 0..3 {
        used.ask("hello\n");
        stage.pass(seconds(29));
    }
    idle.assert_closed();
    until(|| closed(&server, CloseKind::IdleTimeout));
    used.ask("still here\n");
}

#[test]
fn slowloris_that_drips_a_message_is_closed() {
    let stage = Stage::new();
    let limits = Limits { min_receive_rate: 0, ..Limits::default() };
    let server = echo(limits).start_on(stage.runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    client.ask("whole\n");
    for dripped in 1..=5 {
        client.send("x");
        until(|| server.metrics().bytes_read == 6 + dripped);
        until(|| server.metrics().connections_active == 1);
        stage.pass(seconds(3));
    }
    // Timers are never early.
    stage.pass(seconds(1));
    client.assert_closed();
    until(|| closed(&server, CloseKind::HeaderTimeout));
    assert_eq!(server.metrics().buffered_bytes, 0);
}

#[test]
fn message_that_comes_slower_than_the_least_rate_is_closed_after_the_grace() {
    let stage = Stage::new();
    let limits = Limits { header_timeout: seconds(3600), ..Limits::default() };
    let server = echo(limits).start_on(stage.runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    client.send(&"x".repeat(2500));
    until(|| server.metrics().bytes_read == 2500);
    // 10 s of grace, and a second for each 500 bytes.
    stage.pass(seconds(14));
    client.send("x");
    until(|| server.metrics().bytes_read == 2501);
    stage.pass(seconds(2));
    client.assert_closed();
    until(|| closed(&server, CloseKind::TooSlow));
}

/// Answers each byte with 64 KiB.
struct Amplify;

impl Protocol for Amplify {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        cx.write(&vec![input[0]; 64 << 10]);
        Ok(1)
    }
}

/// A client that has requested far more than it reads, and the server that waits for it.
fn unread(stage: &Stage, limits: Limits) -> (Server, Client) {
    let server = server(limits).protocol(|_: &Peer| Amplify);
    let server = server.start_on(stage.runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    SockRef::from(&client.0).set_recv_buffer_size(8 << 10).unwrap();
    client.send(&"x".repeat(1000));
    until(|| server.metrics().buffered_bytes > 0);
    (server, client)
}

#[test]
fn peer_that_takes_nothing_is_closed_and_a_pipelining_flood_is_bounded() {
    let stage = Stage::new();
    let limits = Limits { min_send_rate: 0, ..Limits::default() };
    let (server, client) = unread(&stage, limits);
    // A thousand answers were requested; a few have come.
    assert!(server.metrics().buffered_bytes < 1 << 20);
    // While the kernels still pass bytes on, the output has not been stalled for that long.
    until(|| {
        stage.pass(seconds(31));
        closed(&server, CloseKind::WriteTimeout)
    });
    assert_eq!(server.metrics().buffered_bytes, 0);
    drop(client);
}

#[test]
fn slow_reader_is_closed_after_the_grace() {
    let stage = Stage::new();
    let week = seconds(7 * 24 * 3600);
    let limits = Limits { write_timeout: week, idle_timeout: week, ..Limits::default() };
    let (server, client) = unread(&stage, limits);
    // A second for each 500 bytes that the kernels' buffers have taken.
    until(|| {
        stage.pass(seconds(100));
        closed(&server, CloseKind::TooSlow)
    });
    assert_eq!(server.metrics().buffered_bytes, 0);
    drop(client);
}

#[test]
fn connection_that_would_pass_the_budget_is_closed_and_all_is_given_back() {
    let stage = Stage::new();
    let limits = Limits { buffered_bytes: 100_000, ..Limits::default() };
    let server = echo(limits).start_on(stage.runtime.handle()).unwrap();
    let part = "x".repeat(30_000);
    let mut kept: Vec<_> = (1..=3)
        .map(|count| {
            let mut client = Client::new(&server);
            client.send(&part);
            until(|| server.metrics().buffered_bytes == 30_000 * count);
            client
        })
        .collect();
    let mut one_more = Client::new(&server);
    one_more.send(&part);
    one_more.assert_closed();
    until(|| closed(&server, CloseKind::Memory));
    // The other connections keep their charge.
    for client in &mut kept {
        client.send("\n");
        client.expect(&format!("{part}\n"));
    }
    until(|| server.metrics().buffered_bytes == 0);
}

/// Writes a number of bytes after the first input, and closes.
struct Last(usize);

impl Protocol for Last {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        cx.output().resize(self.0, b'x');
        cx.close();
        Ok(input.len())
    }
}

/// Failure: the remaining output of a closing connection was not charged, and had no limit.
#[test]
fn output_of_a_closing_connection_is_charged() {
    let runtime = runtime();
    let limits = Limits { buffered_bytes: 1 << 20, ..Limits::default() };
    let server = server(limits).protocol(|_: &Peer| Last(64 << 20));
    let server = server.start_on(runtime.handle()).unwrap();
    let mut clients: Vec<_> = (0..4).map(|_| Client::new(&server)).collect();
    clients.iter_mut().for_each(|client| client.send("x"));
    until(|| server.metrics().closed_by(CloseKind::Memory) == 4);
    assert_eq!(server.metrics().buffered_bytes, 0);
}

/// Failure: as above; and the charge ends with the output, not with the connection.
#[test]
fn output_of_a_closing_connection_is_given_back_once_it_is_sent() {
    let runtime = runtime();
    // No time ends the connection.
    let never = 10 * GUARD;
    let limits = Limits { write_timeout: never, linger_timeout: never, ..Limits::default() };
    let server = server(limits).protocol(|_: &Peer| Last(16 << 20));
    let server = server.start_on(runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    client.send("x");
    until(|| server.metrics().buffered_bytes >= 1 << 20);
    assert_eq!(client.rest().len(), 16 << 20);
    // It lingers: this side has not closed.
    until(|| server.metrics().buffered_bytes == 0);
    assert_eq!(server.metrics().closed_by(CloseKind::Finished), 0);
}

/// Sends as long as the server reads.
fn flood(client: &Client) -> std::thread::JoinHandle<()> {
    let mut stream = client.0.try_clone().unwrap();
    std::thread::spawn(move || while stream.write_all(&[7; 64 * 1024]).is_ok() {})
}

/// Failure: discarded bytes were not counted when the budget of operations ended the poll, so that
/// the connection lingered as long as the peer sent.
#[test]
fn linger_bytes_bound_what_is_discarded_with_any_budget_of_operations() {
    for operations in [128, 3, 2, 1] {
        let stage = Stage::with_budget(operations);
        let limits = Limits { linger_bytes: 256 * 1024, ..Limits::default() };
        let server = server(limits).protocol(|_: &Peer| Last(1));
        let server = server.start_on(stage.runtime.handle()).unwrap();
        let flood = flood(&Client::new(&server));
        until(|| closed(&server, CloseKind::Finished));
        assert!(server.metrics().bytes_read < 1 << 20, "{operations}");
        flood.join().unwrap();
    }
}

/// Failure: nor was the time checked while there were bytes to discard.
#[test]
fn linger_timeout_ends_a_flood_with_any_budget_of_operations() {
    for operations in [128, 2, 1] {
        let stage = Stage::with_budget(operations);
        let limits = Limits { linger_bytes: usize::MAX, ..Limits::default() };
        let server = server(limits).protocol(|_: &Peer| Last(1));
        let server = server.start_on(stage.runtime.handle()).unwrap();
        let mut client = Client::new(&server);
        client.ask("x");
        // The client has read the whole answer: the connection lingers.
        assert_eq!(client.0.read(&mut [0]).unwrap(), 0);
        stage.pass(Duration::ZERO);
        stage.pass_unseen(seconds(6), || {
            client.0.set_nonblocking(true).unwrap();
            while client.0.write(&[7; 64 * 1024]).is_ok() {}
        });
        until(|| closed(&server, CloseKind::Finished));
        assert_eq!(server.metrics().bytes_read, 1, "{operations}");
    }
}

/// Says goodbye to a peer that is idle.
struct Polite;

impl Protocol for Polite {
    type Message = ();

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        Ok(input.len())
    }

    fn limit_reached(&mut self, reason: &protocol::CloseReason, cx: &mut Context<'_>) {
        cx.write(format!("goodbye: {reason}").as_bytes());
    }
}

#[test]
fn last_word_arrives_and_the_end_is_counted_as_the_limit() {
    let stage = Stage::new();
    let limits = protocol::Limits { idle_timeout: seconds(3), ..protocol::Limits::default() };
    let server = server(Limits::default()).protocol(|_: &Peer| Polite).connection_limits(limits);
    let server = server.start_on(stage.runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    client.send("x");
    until(|| server.metrics().bytes_read == 1);
    stage.pass(seconds(4));
    assert_eq!(client.rest(), "goodbye: nothing was read or written for too long");
    drop(client);
    until(|| closed(&server, CloseKind::IdleTimeout));
}

#[test]
fn limits_of_a_connection_bound_its_inbox() {
    let runtime = runtime();
    let limits = protocol::Limits { inbox: 1, ..protocol::Limits::default() };
    let (give, given) = std::sync::mpsc::channel();
    let server = server(Limits::default())
        .protocol_with_inbox(move |_: &Peer, sender: protocol::Sender<()>| {
            // The connection takes none before it is made.
            let full = sender.try_send(()).is_ok() && sender.try_send(()).is_err();
            give.send(full).unwrap();
            Polite
        })
        .connection_limits(limits);
    let server = server.start_on(runtime.handle()).unwrap();
    let _client = Client::new(&server);
    assert!(given.recv_timeout(GUARD).unwrap());
}

#[test]
fn idle_timeout_of_a_handler_is_set_behind_it() {
    let stage = Stage::new();
    let server = server(Limits::default())
        .handler(|mut stream: heist_net::Stream, _| async move {
            while stream.read(&mut [0; 8]).await? > 0 {}
            Ok(())
        })
        .idle_timeout(seconds(3));
    let server = server.start_on(stage.runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    client.send("x");
    until(|| server.metrics().bytes_read == 1);
    stage.pass(seconds(4));
    client.assert_closed();
    until(|| closed(&server, CloseKind::IdleTimeout));
}
