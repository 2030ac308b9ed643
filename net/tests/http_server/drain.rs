//! Failure 51: a drain closes connections, and loses no request.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use heist_net::http::{Body, DrainSignal};
use heist_net::server::CloseKind;
use heist_scheduler::spawn;
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::answers::InTwo;
use crate::client::GET;
use crate::site::{Failure, Gate, Hello, Site, reply};

/// A drain in the background.
pub(crate) struct Drain(Receiver<()>);

impl Drain {
    /// Begins the drain, and lets the server handle it.
    pub(crate) fn begin(site: &Site) -> Drain {
        let (sender, receiver) = channel();
        let server = Arc::clone(&site.server);
        let runtime = site.runtime.handle().clone();
        thread::spawn(move || {
            runtime.block_on(server.drain(Duration::from_secs(3600)));
            sender.send(())
        });
        while !site.server.shared().is_draining() {
            thread::yield_now();
        }
        site.settle();
        Drain(receiver)
    }

    pub(crate) fn wait(self) {
        self.0.recv_timeout(Duration::from_secs(60)).expect("the drain ends");
    }
}

#[test]
fn drain_ends_though_connections_idle() {
    let site = Site::new(Hello::default());
    let mut clients: Vec<_> = (0..10).map(|_| site.connect()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get().code, 200));
    site.pass(2);
    Drain::begin(&site).wait();
    clients.iter_mut().for_each(|client| assert!(client.rest().is_empty()));
    assert_eq!(site.closed(CloseKind::IdleDrained), 10);
}

#[test]
fn request_in_flight_is_finished_and_its_answer_says_close() {
    let (gate, go) = Gate::new();
    let site = Site::new(service_fn(move |_: Request<Body>| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok::<_, Failure>(reply("done"))
        }
    }));
    let mut client = site.connect();
    client.send(GET);
    site.settle();
    let drained = Drain::begin(&site);
    assert!(client.is_quiet());
    assert_eq!(site.server.metrics().connections_active, 1);
    go.send(()).unwrap();
    let answer = client.answer();
    assert_eq!((&answer.body[..], answer.closes()), (&b"done"[..], true));
    assert!(client.rest().is_empty());
    drained.wait();
    assert_eq!(site.closed(CloseKind::Drained), 1);
}

#[test]
fn answer_that_has_begun_is_finished_and_then_the_connection_closed() {
    let (gate, go) = Gate::new();
    let site = Site::new(service_fn(move |_: Request<Body>| {
        let gate = gate.clone();
        async move { Ok::<_, Failure>(Response::new(InTwo::new(gate))) }
    }));
    let mut client = site.connect();
    client.send(GET);
    client.until(b"one ");
    let drained = Drain::begin(&site);
    assert!(client.is_quiet());
    go.send(()).unwrap();
    client.until(b"two\r\n0\r\n\r\n");
    assert!(client.rest().is_empty());
    drained.wait();
    assert_eq!(site.closed(CloseKind::Drained), 1);
}

#[test]
fn request_sent_just_before_the_drain_is_answered() {
    let site = Site::new(Hello::default());
    let (mut used, mut fresh) = (site.connect(), site.connect());
    assert_eq!(used.get().code, 200);
    let drained = Drain::begin(&site);
    for client in [&mut used, &mut fresh] {
        assert!(client.is_quiet());
        let answer = client.get();
        assert_eq!((answer.code, answer.closes()), (200, true));
        assert!(client.rest().is_empty());
    }
    drained.wait();
    assert_eq!(site.closed(CloseKind::Drained), 2);
}

#[test]
fn connection_used_just_before_the_drain_is_closed_when_it_sends_no_more() {
    let site = Site::new(Hello::default());
    let (mut used, mut fresh) = (site.connect(), site.connect());
    assert_eq!(used.get().code, 200);
    let drained = Drain::begin(&site);
    site.settle();
    assert!(used.is_quiet() && fresh.is_quiet());
    site.pass(2);
    assert!(used.rest().is_empty() && fresh.rest().is_empty());
    drained.wait();
    assert_eq!(site.closed(CloseKind::IdleDrained), 2);
}

#[test]
fn half_a_head_may_be_finished_during_the_drain() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.send(&GET[..10]);
    site.pass(5);
    let drained = Drain::begin(&site);
    site.pass(5);
    client.send(&GET[10..]);
    let answer = client.answer();
    assert_eq!((answer.code, answer.closes()), (200, true));
    drained.wait();
    assert_eq!(site.closed(CloseKind::Drained), 1);
}

/// Failure: a service with a long answer delays the drain, because it does not learn of the drain.
#[test]
fn service_that_waits_for_the_drain_ends_with_it() {
    let site = Site::new(service_fn(async |request: Request<Body>| {
        let mut drain = request.extensions().get::<DrainSignal>().unwrap().clone();
        assert!(!drain.is_draining());
        let mut clone = drain.clone();
        let other = spawn(async move { clone.draining().await });
        drain.draining().await;
        assert!(drain.is_draining());
        other.await.unwrap();
        Ok::<_, Failure>(reply("drained"))
    }));
    let mut client = site.connect();
    client.send(GET);
    site.settle();
    assert!(client.is_quiet());
    let drained = Drain::begin(&site);
    let answer = client.answer();
    assert_eq!((&answer.body[..], answer.closes()), (&b"drained"[..], true));
    drained.wait();
}

/// Failure: a task that waits for the drain of a connection that has ended waits for ever.
#[test]
fn wait_for_the_drain_ends_with_the_connection() {
    let (sender, ended) = channel();
    let site = Site::new(service_fn(move |request: Request<Body>| {
        let (mut drain, sender) =
            (request.extensions().get::<DrainSignal>().unwrap().clone(), sender.clone());
        drop(spawn(async move {
            drain.draining().await;
            assert!(!drain.is_draining());
            sender.send(()).unwrap();
        }));
        async { Ok::<_, Failure>(reply("waiting")) }
    }));
    let mut client = site.connect();
    assert_eq!(client.get().code, 200);
    site.settle();
    assert!(ended.try_recv().is_err());
    drop(client);
    ended.recv_timeout(Duration::from_secs(60)).expect("the wait ends");
}
