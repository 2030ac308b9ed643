//! The ways to serve, and the ends of served connections.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use heist_net::protocol::{self, Context, Protocol};
use heist_net::server::{Accepted, ByProtocol, CloseKind, CloseReason, Limits, Peer, Serve};
use heist_net::{Runtime, Stream};

use crate::common::{GUARD, runtime};
use crate::stage::{Client, Echo, Stage, echo, server, until};

pub(crate) async fn echo_bytes(mut stream: Stream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

#[test]
fn handler_is_served_counted_and_ended() {
    let runtime = runtime();
    let server = server(Limits::default())
        .handler(|stream, _peer| echo_bytes(stream))
        .start_on(runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    client.ask("hello");
    until(|| (server.metrics().bytes_read, server.metrics().bytes_written) == (5, 5));
    drop(client);
    until(|| server.metrics().closed_by(CloseKind::Finished) == 1);
    assert_eq!(server.metrics().connection_time.count(), 1);
}

/// Passes its sender to the test, and writes the messages that it gets.
struct Spoken;

impl Protocol for Spoken {
    type Message = &'static str;

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        Ok(input.len())
    }

    fn message(&mut self, words: &'static str, cx: &mut Context<'_>) {
        cx.write(words.as_bytes());
    }
}

#[test]
fn protocol_that_asks_for_a_sender_has_one_from_the_start() {
    let runtime = runtime();
    let (senders, registered) = mpsc::channel();
    let server = server(Limits::default())
        .protocol_with_inbox(move |_peer, sender| {
            senders.send(sender).unwrap();
            Spoken
        })
        .start_on(runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    let sender = registered.recv().unwrap();
    sender.try_send("hello\n").unwrap();
    client.expect("hello\n");
    sender.abort();
    client.assert_closed();
    until(|| server.metrics().closed_by(CloseKind::Finished) == 1);
}

/// Serves with the protocol in a task of its own, after a first poll in the task that the server
/// made.
struct InAnotherTask(ByProtocol<fn(&Peer) -> Echo>, mpsc::Sender<()>);

impl Serve for InAnotherTask {
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<> {
        let (mut inner, polled) = (Box::pin(self.0.serve(accepted)), self.1.clone());
        async move {
            poll_fn(|cx| {
                assert!(inner.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            let other = poll_fn(move |cx| {
                let ending = inner.as_mut().poll(cx);
                let _ = polled.send(());
                ending
            });
            heist_scheduler::spawn(other).await.unwrap()
        }
    }
}

/// Failure: the connection assumed that the task that the server made polls it, and woke that task.
#[test]
fn protocol_that_moves_to_another_task_is_woken_there() {
    let runtime = runtime();
    let (polled, is_polled) = mpsc::channel();
    let server = server(Limits::default())
        .serve(InAnotherTask(ByProtocol::new(|_| Echo::default()), polled))
        .start_on(runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    is_polled.recv().unwrap();
    client.ask("hello\n");
}

/// Failure: the drain woke the task that the server had made, and the connection learned of the
/// drain at its next event, which might never come.
#[test]
fn protocol_that_moves_to_another_task_is_told_of_the_drain_there() {
    let stage = Stage::new();
    let (polled, is_polled) = mpsc::channel();
    let server = server(Limits::default())
        .serve(InAnotherTask(ByProtocol::new(|_| Echo::default()), polled))
        .start_on(stage.runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    is_polled.recv().unwrap();
    // After the time in which a new connection must send, so that only the drain can wake it.
    stage.pass(Limits::default().drain_linger * 2);
    while is_polled.try_recv().is_ok() {}
    let draining = stage.runtime.spawn(async move { server.drain(GUARD).await });
    is_polled.recv_timeout(GUARD).expect("the drain wakes the task");
    client.assert_closed();
    assert_eq!(stage.runtime.block_on(draining).unwrap().idle_closed, 1);
}

/// Sends the first input back.
struct Once;

impl Protocol for Once {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
        cx.write(input);
        cx.finish();
        Ok(input.len())
    }
}

/// Keeps the future of a connection when it has completed.
struct Outlived(ByProtocol<fn(&Peer) -> Once>);

impl Serve for Outlived {
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<> {
        let inner = self.0.serve(accepted);
        async move {
            let mut inner = pin!(inner);
            inner.as_mut().await;
            pending().await
        }
    }
}

/// Failure: the kernel held the last bytes back for the end, which did not follow at once.
#[test]
fn peer_of_a_protocol_that_has_finished_is_told_whatever_becomes_of_the_future() {
    let runtime = runtime();
    let server = server(Limits::default())
        .serve(Outlived(ByProtocol::new(|_| Once)))
        .start_on(runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    client.ask("hello");
    client.assert_closed();
}

#[test]
fn handler_that_nothing_happens_to_is_ended() {
    let stage = Stage::new();
    let server = server(Limits::default())
        .handler(|stream, _peer| echo_bytes(stream))
        .start_on(stage.runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    client.ask("hello");
    stage.pass(Duration::from_secs(59));
    client.ask("still here");
    stage.pass(Duration::from_secs(59));
    client.ask("and here");
    stage.pass(Duration::from_secs(61));
    client.assert_closed();
    until(|| server.metrics().closed_by(CloseKind::IdleTimeout) == 1);
}

#[test]
fn handler_of_the_whole_connection_is_told_of_the_drain() {
    let runtime = runtime();
    let server = server(Limits::default())
        .accepted(|mut accepted: Accepted| async move {
            accepted.stream.write_all(b"ready").await.unwrap();
            accepted.drain.set_busy(true);
            accepted.drain.draining().await;
            accepted.stream.write_all(b"bye").await.unwrap();
            CloseReason::Drained
        })
        .start_on(runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    client.expect("ready");
    until(|| server.metrics().connections_active == 1);
    let report = server.drain_blocking(Duration::from_secs(60));
    assert_eq!(client.rest(), "bye");
    assert_eq!((report.finished, report.idle_closed, report.force_closed), (1, 0, 0));
    assert_eq!(server.metrics().connections_active, 0);
}

/// Failure: a connection whose stream went on in another task no longer counted.
#[test]
fn handler_that_waits_for_another_task_keeps_the_connection_counted() {
    let runtime = runtime();
    let server = server(Limits { connections: 1, ..Limits::default() })
        .accepted(|accepted: Accepted| async move {
            // As after an upgrade: another task goes on with the stream.
            let served = heist_scheduler::spawn(echo_bytes(accepted.stream));
            let _ = served.await;
            CloseReason::Finished
        })
        .start_on(runtime.handle())
        .unwrap();
    let mut first = Client::new(&server);
    first.ask("one");
    let mut second = Client::new(&server);
    second.send("two");
    first.ask("still alone");
    assert_eq!((server.metrics().accepted, server.metrics().connections_active), (1, 1));
    drop(first);
    second.expect("two");
    assert_eq!(server.metrics().closed_by(CloseKind::Finished), 1);
}

/// Failure: what a handler gave away of its connection kept that counted, and the drain waiting.
#[test]
fn drain_signal_that_outlives_its_connection_keeps_nothing_open() {
    let runtime = runtime();
    let (give, given) = mpsc::channel();
    let server = server(Limits { connections: 1, ..Limits::default() })
        .accepted(move |mut accepted: Accepted| {
            let give = give.clone();
            async move {
                accepted.drain.set_busy(true);
                let served = echo_bytes(accepted.stream).await;
                give.send(accepted.drain).unwrap();
                served.map_or_else(CloseReason::from, |()| CloseReason::Finished)
            }
        })
        .start_on(runtime.handle())
        .unwrap();
    for _ in 0..2 {
        Client::new(&server).ask("hello");
    }
    let mut signals = [given.recv().unwrap(), given.recv().unwrap()];
    until(|| server.metrics().closed_by(CloseKind::Finished) == 2);
    assert_eq!(server.metrics().connections_active, 0);
    let [first, _] = &mut signals;
    let draining = runtime.block_on(async {
        let waits = poll_fn(|cx| Poll::Ready(first.poll_draining(cx))).await;
        assert!(waits.is_pending());
        let drain = server.drain(GUARD);
        let mut drain = pin!(drain);
        let report = poll_fn(|cx| drain.as_mut().poll(cx)).await;
        first.draining().await;
        report
    });
    assert_eq!((draining.finished, draining.force_closed), (0, 0));
}

#[test]
fn panic_ends_its_own_connection_only() {
    let runtime = runtime();
    let server = echo(Limits::default()).start_on(runtime.handle()).unwrap();
    let (mut victim, mut other) = (Client::new(&server), Client::new(&server));
    other.ask("before\n");
    victim.send("panic\n");
    victim.assert_closed();
    until(|| server.metrics().closed_by(CloseKind::Panicked) == 1);
    other.ask("after\n");
    Client::new(&server).ask("new\n");
}

#[test]
fn panic_where_a_connection_begins_or_ends_is_counted_as_one() {
    struct Fragile;
    impl Protocol for Fragile {
        type Message = Infallible;

        fn received(&mut self, _: &[u8], cx: &mut Context<'_>) -> Result<usize, protocol::Error> {
            cx.finish();
            Ok(1)
        }

        fn closed(&mut self, reason: &protocol::CloseReason) {
            panic!("as asked: {reason}");
        }
    }
    let runtime = runtime();
    let made = AtomicUsize::new(0);
    let server = server(Limits::default())
        .protocol(move |_: &Peer| {
            assert_ne!(made.fetch_add(1, Ordering::Relaxed), 0, "as asked");
            Fragile
        })
        .start_on(runtime.handle())
        .unwrap();
    Client::new(&server).assert_closed();
    until(|| server.metrics().closed_by(CloseKind::Panicked) == 1);
    let mut ended = Client::new(&server);
    ended.send("x");
    ended.assert_closed();
    until(|| server.metrics().closed_by(CloseKind::Panicked) == 2);
    drop(Client::new(&server));
    until(|| server.metrics().closed_by(CloseKind::Panicked) == 3);
    assert_eq!(server.drain_blocking(Duration::ZERO).force_closed, 0);
}

/// Failure: it was counted as an end without a panic.
#[test]
fn panic_in_the_last_call_of_a_force_closed_connection_is_counted() {
    struct Stays;
    impl Protocol for Stays {
        type Message = Infallible;

        fn received(
            &mut self,
            input: &[u8],
            cx: &mut Context<'_>,
        ) -> Result<usize, protocol::Error> {
            cx.write(input);
            Ok(input.len())
        }

        fn draining(&mut self, _: &mut Context<'_>) {}

        fn closed(&mut self, reason: &protocol::CloseReason) {
            panic!("as asked: {reason}");
        }
    }
    let runtime = runtime();
    let server =
        server(Limits::default()).protocol(|_: &Peer| Stays).start_on(runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    client.ask("hello\n");
    assert_eq!(server.drain_blocking(Duration::ZERO).force_closed, 1);
    client.assert_closed();
    assert_eq!(server.metrics().closed_by(CloseKind::Panicked), 1);
}

#[test]
fn panic_before_the_first_await_does_not_end_the_acceptor() {
    let runtime = runtime();
    let server = server(Limits::default())
        .handler(|stream, peer| {
            assert!(peer.ip().is_none(), "as asked");
            echo_bytes(stream)
        })
        .start_on(runtime.handle())
        .unwrap();
    for _ in 0..3 {
        Client::new(&server).assert_closed();
    }
    until(|| server.metrics().closed_by(CloseKind::Panicked) == 3);
}

#[test]
fn runtime_that_shuts_down_ends_its_servers() {
    let runtime: Runtime = runtime();
    let server = echo(Limits::default()).start_on(runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    client.ask("hello\n");
    assert_eq!(runtime.shutdown(crate::common::GUARD).tasks_left, 0);
    client.assert_closed();
    assert_eq!(server.metrics().closed_by(CloseKind::Cancelled), 1);
    assert_eq!(server.metrics().connections_idle, 0);
}
