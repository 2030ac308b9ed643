//! Input that came in time counts, even while its event is still in the queue.

use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heist_net::protocol::CloseReason;
use heist_net::server::{CloseKind, Handler, Limits};
use heist_net::{Connection, Server, UnixStream};

use crate::serving::echo_bytes;
use crate::stage::{Client, Echo, Stage, echo, server, until};

/// More connections than events that a worker takes at once: some events are still in the queue
/// when all timers have fired.
const CROWD: usize = 300;

fn no_connection_is_closed(stage: &Stage, server: &Server, first: &str, second: &str) {
    let mut crowd: Vec<_> = (0..CROWD).map(|_| Client::new(server)).collect();
    for client in &mut crowd {
        client.0.set_nodelay(true).unwrap();
        client.ask("hello\n");
        client.send(first);
    }
    until(|| server.metrics().bytes_read == (CROWD * (6 + first.len())) as u64);
    stage.pass_unseen(Duration::from_secs(61), || {
        for client in &mut crowd {
            client.send(second);
        }
    });
    for client in &mut crowd {
        client.expect(&format!("{first}{second}"));
    }
    for ending in [CloseKind::IdleTimeout, CloseKind::HeaderTimeout, CloseKind::TooSlow] {
        assert_eq!(server.metrics().closed_by(ending), 0, "{ending:?}");
    }
}

/// Failure: the idle time ended before the event of the bytes was taken from the queue.
#[test]
fn protocol_whose_bytes_came_in_time_is_not_idle() {
    let stage = Stage::new();
    let server = echo(Limits::default()).start_on(stage.runtime.handle()).unwrap();
    no_connection_is_closed(&stage, &server, "", "in time\n");
}

/// Failure: as above, for the time of a message.
#[test]
fn message_whose_end_came_in_time_is_whole() {
    let stage = Stage::new();
    let server = echo(Limits::default()).start_on(stage.runtime.handle()).unwrap();
    no_connection_is_closed(&stage, &server, "in ", "time\n");
}

/// No worker takes the event: `before` has come, and `late` comes before the deadline, but the
/// timer wakes the connection's task first.
fn is_not_late(before: &str, late: &str) {
    let stage = Stage::new();
    let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
    stage.hold(|| {
        stage.runtime.block_on(async {
            let near = UnixStream::from_std(near).unwrap();
            let mut connection = pin!(Connection::new(near, Echo::default()));
            let mut poll = || {
                let cx = &mut Context::from_waker(Waker::noop());
                assert!(connection.as_mut().poll(cx).is_pending());
            };
            far.write_all(before.as_bytes()).unwrap();
            poll();
            far.write_all(late.as_bytes()).unwrap();
            stage.advance(Duration::from_secs(61));
            poll();
            poll();
        });
    });
}

/// Failure: the idle time, or that of a message, ended while the event was still in the queue.
#[test]
fn protocol_looks_at_the_socket_before_it_is_idle() {
    is_not_late("", "in time\n");
    is_not_late("in ", "time\n");
}

#[test]
fn protocol_is_idle_when_nothing_has_come() {
    let stage = Stage::new();
    let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
    stage.hold(|| {
        stage.runtime.block_on(async {
            let near = UnixStream::from_std(near).unwrap();
            let mut connection = pin!(Connection::new(near, Echo::default()));
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(connection.as_mut().poll(cx).is_pending());
            stage.advance(Duration::from_secs(61));
            let polled = connection.as_mut().poll(cx);
            assert!(matches!(polled, Poll::Ready(CloseReason::IdleTimeout)), "{polled:?}");
        });
    });
}

/// Failure: a handler did not read again after its timer had fired.
#[test]
fn handler_whose_bytes_came_in_time_is_not_idle() {
    let stage = Stage::new();
    let server = server(Limits::default())
        .handler(|stream, _peer| echo_bytes(stream))
        .start_on(stage.runtime.handle())
        .unwrap();
    no_connection_is_closed(&stage, &server, "", "in time\n");
}

/// Failure: a drain closed a connection as idle although its request had come.
#[test]
fn drain_answers_what_came_before_it() {
    let stage = Stage::new();
    let server = echo(Limits::default()).start_on(stage.runtime.handle()).unwrap();
    let mut crowd: Vec<_> = (0..CROWD).map(|_| Client::new(&server)).collect();
    crowd.iter_mut().for_each(|client| client.ask("hello\n"));
    let drain = server.drain(Duration::from_secs(60));
    stage.pass_unseen(Duration::from_secs(10), || {
        for client in &mut crowd {
            client.send("in time\n");
        }
        // The drain begins.
        let mut drain = pin!(drain);
        let cx = &mut Context::from_waker(Waker::noop());
        let _inside = stage.runtime.handle().enter();
        assert!(drain.as_mut().poll(cx).is_pending());
    });
    for client in &mut crowd {
        assert_eq!(client.rest(), "in time\n");
    }
}

#[test]
fn handler_may_have_an_idle_limit_of_its_own() {
    let stage = Stage::new();
    let hour =
        Handler::new(|stream, _peer| echo_bytes(stream)).idle_timeout(Duration::from_secs(3600));
    let server = server(Limits::default()).serve(hour).start_on(stage.runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    client.ask("hello\n");
    stage.pass(Duration::from_secs(3000));
    client.ask("still here\n");
    stage.pass(Duration::from_secs(3000));
    client.ask("and now\n");
    assert_eq!(server.metrics().closed_by(CloseKind::IdleTimeout), 0);
    stage.pass(Duration::from_secs(3601));
    client.assert_closed();
    until(|| server.metrics().closed_by(CloseKind::IdleTimeout) == 1);
}
