//! Which connections of `async` services count as active.
//!
//! The stage has one worker. A task that is spawned there runs when no other is being polled, so it sees
//! what the polls before it have left.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use heist_net::server::{Accepted, ByProtocol, CloseReason, Limits, Peer, Serve};
use heist_net::{Server, Stream};
use heist_scheduler::time::sleep;

use crate::serving::echo_bytes;
use crate::stage::{Client, Echo, Stage, server, until};

/// How many connections are active and idle when no task is being polled.
fn between_polls(stage: &Stage, server: &Server) -> (u64, u64) {
    let (release, counted) = mpsc::channel();
    stage.hold(|| {
        let metrics = server.metrics();
        release.send((metrics.connections_active, metrics.connections_idle)).unwrap();
    });
    counted.recv().unwrap()
}

const ACTIVE: (u64, u64) = (1, 0);
const IDLE: (u64, u64) = (0, 1);

/// Failure: each connection of a handler counted as idle, whatever it did.
#[test]
fn handler_is_active_unless_it_waits_for_its_peer() {
    let stage = Stage::new();
    let (polled, polls) = mpsc::channel();
    let server = server(Limits::default())
        .handler(move |mut stream: Stream, _peer| {
            let polled = polled.clone();
            async move {
                let mut question = [0; 3];
                while stream.read_exact(&mut question).await.is_ok() {
                    polled.send(()).unwrap();
                    sleep(Duration::from_secs(1)).await;
                    stream.write_all(&question).await?;
                }
                Ok(())
            }
        })
        .start_on(stage.runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    for _ in 0..2 {
        client.send("one");
        polls.recv().unwrap();
        assert_eq!(between_polls(&stage, &server), ACTIVE);
        stage.pass(Duration::from_secs(2));
        client.expect("one");
        assert_eq!(between_polls(&stage, &server), IDLE);
    }
    client.send("end");
    polls.recv().unwrap();
    assert_eq!(between_polls(&stage, &server), ACTIVE);
    // Whatever it waits for, its end counts.
    assert_eq!(server.drain_blocking(Duration::ZERO).force_closed, 1);
    until(|| server.metrics().connections_active == 0);
}

#[test]
fn handler_that_cannot_write_is_active_though_it_reads() {
    let stage = Stage::new();
    let (polled, polls) = mpsc::channel();
    let server = server(Limits::default())
        .handler(move |mut stream: Stream, _peer| {
            let polled = polled.clone();
            async move {
                let (mut reader, mut writer) = stream.split_mut();
                let (mut byte, answer) = ([0], vec![0; 64 << 20]);
                let mut reads = pin!(reader.read(&mut byte));
                let mut writes = pin!(writer.write_all(&answer));
                poll_fn(|cx| {
                    if let Poll::Ready(outcome) = writes.as_mut().poll(cx) {
                        return Poll::Ready(outcome);
                    }
                    if reads.as_mut().poll(cx).is_pending() {
                        polled.send(()).unwrap();
                    }
                    Poll::Pending
                })
                .await
            }
        })
        .start_on(stage.runtime.handle())
        .unwrap();
    let client = Client::new(&server);
    polls.recv().unwrap();
    assert_eq!(between_polls(&stage, &server), ACTIVE);
    drop(client);
}

#[test]
fn service_that_says_whether_it_is_busy_is_believed() {
    let stage = Stage::new();
    let (give, given) = mpsc::channel();
    let server = server(Limits::default())
        .accepted(move |accepted: Accepted| {
            let give = give.clone();
            async move {
                give.send(accepted.drain).unwrap();
                let served = echo_bytes(accepted.stream).await;
                served.map_or_else(CloseReason::from, |()| CloseReason::Finished)
            }
        })
        .start_on(stage.runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    client.ask("hello");
    assert_eq!(between_polls(&stage, &server), IDLE);
    let mut signal = given.recv().unwrap();
    signal.set_busy(true);
    client.ask("and now");
    assert_eq!(between_polls(&stage, &server), ACTIVE);
    signal.set_busy(false);
    client.ask("and then");
    assert_eq!(between_polls(&stage, &server), IDLE);
    drop(signal);
    client.ask("for good");
    assert_eq!(between_polls(&stage, &server), IDLE);
}

/// Failure: a connection that was active when its code said the same counted twice.
#[test]
fn connection_that_is_said_to_be_busy_counts_once() {
    let stage = Stage::new();
    let server = server(Limits::default())
        .accepted(move |mut accepted: Accepted| async move {
            let mut byte = [0];
            accepted.stream.read_exact(&mut byte).await.unwrap();
            accepted.drain.set_busy(byte == *b"b");
            accepted.stream.write_all(b"ok").await.unwrap();
            accepted.drain.draining().await;
            CloseReason::Drained
        })
        .start_on(stage.runtime.handle())
        .unwrap();
    let mut clients = ["b", "i", "i"].map(|kind| {
        let mut client = Client::new(&server);
        client.send(kind);
        client.expect("ok");
        client
    });
    assert_eq!(between_polls(&stage, &server), (1, 2));
    server.drain_blocking(Duration::from_secs(60));
    assert_eq!(clients.each_mut().map(|client| client.rest()), ["", "", ""]);
    assert_eq!(server.metrics().connections_active, 0);
}

/// Serves by a protocol, behind a service that says nothing.
struct Wrapped<M>(ByProtocol<M>);

impl<M: Fn(&Peer) -> Echo + Send + Sync + 'static> Serve for Wrapped<M> {
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<M> {
        self.0.serve(accepted)
    }
}

/// The engine says it by the signal, so the wrapper's task is to stop.
#[test]
fn service_that_wraps_another_counts_as_that_says() {
    let stage = Stage::new();
    let server = server(Limits::default())
        .serve(Wrapped(ByProtocol::new(|_: &Peer| Echo::default())))
        .start_on(stage.runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    client.ask("line\n");
    assert_eq!(between_polls(&stage, &server), IDLE);
    client.send("half of a");
    until(|| between_polls(&stage, &server) == ACTIVE);
    client.send(" line\n");
    client.expect("half of a line\n");
    assert_eq!(between_polls(&stage, &server), IDLE);
}
