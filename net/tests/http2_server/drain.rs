//! The drain of connections with streams.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use heist_net::http::{Body, DrainSignal};
use heist_net::server::{CloseKind, Limits};
use hyper::Request;
use hyper::service::service_fn;

use crate::client::*;
use crate::site::{Failure, Gate, Hello, Site, reply};

/// A drain in the background.
fn drain(site: &Site) -> Receiver<()> {
    let (sender, receiver) = channel();
    let (server, runtime) = (Arc::clone(&site.server), site.runtime.handle().clone());
    thread::spawn(move || {
        runtime.block_on(server.drain(Duration::from_secs(3600)));
        sender.send(())
    });
    while !site.server.shared().is_draining() {
        thread::yield_now();
    }
    site.settle();
    receiver
}

fn ended(drained: &Receiver<()>) {
    drained.recv_timeout(Duration::from_secs(60)).expect("the drain ends");
}

#[test]
fn streams_in_flight_are_finished_and_a_stream_on_its_way_is_served() {
    let (gate, go) = Gate::new();
    let site = crate::site(
        Limits::default(),
        service_fn(move |_: Request<Body>| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, Failure>(reply("done"))
            }
        }),
    );
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&[request(1, "/", true), request(3, "/", true)].concat());
    site.settle();
    let drained = drain(&site);
    // The first GOAWAY promises nothing yet: one more request may be on its way.
    assert_eq!(client.until(GOAWAY).number(0), (1 << 31) - 1);
    client.send(&request(5, "/", true));
    let ping = client.until(PING);
    client.send(&frame(PING, ACK, 0, &ping.payload));
    let last = client.until(GOAWAY);
    assert_eq!((last.number(0), last.number(4)), (5, NO_ERROR));
    // A stream beyond that is not served, and not answered.
    client.send(&request(7, "/", true));
    (0..3).for_each(|_| go.send(()).unwrap());
    let mut answered = Vec::new();
    while let Some(frame) = client.next() {
        if frame.ends_stream() {
            answered.push(frame.stream);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 3, 5]);
    drop(client);
    ended(&drained);
    assert_eq!(site.closed(CloseKind::Drained), 1);
}

#[test]
fn idle_connections_are_closed_by_a_drain() {
    let site = crate::site(Limits::default(), Hello::default());
    let (mut prompt, mut mute) = (site.connect(), site.connect());
    for client in [&mut prompt, &mut mute] {
        client.begin(&[]);
        assert_eq!(client.get(1, "/").0, 200);
    }
    site.pass(10);
    let drained = drain(&site);
    // One acknowledges the end, the other says nothing.
    let ping = prompt.until(PING);
    prompt.send(&frame(PING, ACK, 0, &ping.payload));
    assert_eq!(prompt.goaway(), Some(NO_ERROR));
    site.pass(2);
    assert_eq!(mute.goaway(), Some(NO_ERROR));
    drop((prompt, mute));
    ended(&drained);
    assert_eq!(site.closed(CloseKind::IdleDrained), 2);
}

#[test]
fn service_learns_of_the_drain() {
    let site = crate::site(
        Limits::default(),
        service_fn(async |request: Request<Body>| {
            let mut drain = request.extensions().get::<DrainSignal>().unwrap().clone();
            drain.draining().await;
            Ok::<_, Failure>(reply("drained"))
        }),
    );
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&request(1, "/", true));
    site.settle();
    let drained = drain(&site);
    assert_eq!(client.answer(1).1, b"drained");
    drop(client);
    ended(&drained);
}
