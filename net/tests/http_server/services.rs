//! Failing services, overloaded servers, and metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist_net::TcpStream;
use heist_net::http::Body;
use heist_net::server::{CloseKind, Limits, Peer};
use heist_scheduler::{Handle, spawn};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::client::GET;
use crate::site::{Failure, Gate, Hello, Site, measure, reply};

#[test]
fn client_of_hyper_sends_bodies_of_all_sizes_over_one_connection() {
    let site = Site::with(
        Limits { max_body: 4_000_000, ..Limits::default() },
        service_fn(async |request: Request<Body>| {
            let body = request.into_body().collect().await?.to_bytes();
            Ok::<_, Failure>(Response::new(Full::new(body)))
        }),
    );
    let address = site.address();
    site.runtime.block_on(async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let connection = spawn(connection);
        for length in [0, 1, 1_000, 70_000, 2_000_000, 3] {
            let body = Bytes::from(vec![b'x'; length]);
            let request = Request::post("/").header("host", "test").body(Full::new(body.clone()));
            sender.ready().await.unwrap();
            let response = sender.send_request(request.unwrap()).await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
        }
        drop(sender);
        connection.await.unwrap().unwrap();
    });
    assert_eq!(site.closed(CloseKind::Finished), 1);
    assert_eq!(site.answered(200), 6);
}

#[test]
fn overloaded_server_answers_503_without_calling_the_service() {
    let (overloaded, hello) = (Arc::new(AtomicBool::new(false)), Hello::default());
    let asked = Arc::clone(&overloaded);
    let says = move |_: &Handle| asked.load(Ordering::SeqCst);
    let site = Site::overloaded_by(says, Limits::default(), hello.clone());
    let mut client = site.connect();
    assert_eq!(client.get().code, 200);
    overloaded.store(true, Ordering::SeqCst);
    let answer = client.get();
    assert_eq!(answer.code, 503);
    assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
    assert_eq!((site.server.metrics().shed(), hello.calls()), (1, 1));
    overloaded.store(false, Ordering::SeqCst);
    assert_eq!(client.get().code, 200);
}

#[test]
fn connection_that_is_refused_is_told_why_in_http() {
    let hello = Hello::default();
    let site = Site::overloaded_by(|_| true, Limits::default(), hello.clone());
    let mut client = site.connect();
    let answer = client.answer();
    assert_eq!((answer.code, answer.closes()), (503, true));
    assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
    assert!(client.rest().is_empty());
    assert_eq!(hello.calls(), 0);
}

#[test]
fn failing_service_is_answered_500_and_the_connection_goes_on() {
    let site = Site::new(service_fn(async |_: Request<Body>| {
        Err::<Response<Empty<Bytes>>, Failure>("of no use".into())
    }));
    let mut client = site.connect();
    assert_eq!(client.get().code, 500);
    assert_eq!(client.get().code, 500);
    assert_eq!(site.answered(500), 2);
}

#[test]
fn panic_in_a_service_ends_its_connection_alone() {
    let site = Site::new(service_fn(async |request: Request<Body>| {
        assert!(request.uri().path() != "/panic", "as the test wants");
        Ok::<_, Failure>(reply("fine"))
    }));
    let (mut bad, mut good) = (site.connect(), site.connect());
    assert_eq!(bad.get().code, 200);
    bad.send("GET /panic HTTP/1.1\r\nhost: test\r\n\r\n");
    assert!(bad.rest().is_empty());
    assert_eq!(good.get().body, b"fine");
    assert_eq!((site.closed(CloseKind::Panicked), site.answered(0)), (1, 1));
    assert_eq!(site.server.metrics().http.unwrap().in_flight, 0);
}

#[test]
fn request_that_its_peer_gave_up_is_counted_and_no_longer_in_flight() {
    let (gate, go) = Gate::new();
    let site = Site::new(service_fn(move |_: Request<Body>| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok::<_, Failure>(reply("too late"))
        }
    }));
    let mut client = site.connect();
    client.send(GET);
    site.settle();
    let metrics = site.server.metrics();
    assert_eq!((metrics.connections_active, metrics.http.unwrap().in_flight), (1, 1));
    client.reset();
    assert_eq!(site.closed(CloseKind::Lost), 1);
    assert_eq!((site.answered(0), site.server.metrics().http.unwrap().in_flight), (1, 0));
    go.send(()).unwrap();
}

/// Failure 18: a half-closed connection makes a worker spin while the service runs.
#[test]
fn half_closed_connection_with_an_open_body_does_not_spin() {
    let (gate, go) = Gate::new();
    let site = Site::new(service_fn(move |request: Request<Body>| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            measure(request).await
        }
    }));
    let mut client = site.connect();
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nabc");
    client.stop_sending();
    site.settle();
    let polls = || site.runtime.handle().metrics().workers.iter().map(|one| one.polls).sum::<u64>();
    let before = polls();
    site.settle();
    // `settle` itself takes about 300.
    let taken = polls() - before;
    assert!(taken < 330, "{taken}");
    go.send(()).unwrap();
    client.rest();
}

#[test]
fn time_of_a_request_goes_from_the_call_to_the_end_of_the_answer() {
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
    site.pass(3);
    go.send(()).unwrap();
    assert_eq!(client.answer().body, b"done");
    site.settle();
    let http = site.server.metrics().http.unwrap();
    assert_eq!((http.request_time.count(), http.request_time.sum()), (1, 3.0));
}

/// Failure: behind layers that see only requests, a service does not know its peer.
#[test]
fn request_brings_its_peer_along() {
    let site = Site::new(service_fn(async |request: Request<Body>| {
        let peer = request.extensions().get::<Peer>().map(Peer::to_string);
        Ok::<_, Failure>(reply(peer.unwrap_or_default()))
    }));
    let mut client = site.connect();
    let address = client.address().to_string();
    assert_eq!(client.get().body, address.as_bytes());
}

#[test]
fn service_knows_its_peer_and_may_be_one_of_hyper_alone() {
    async fn theirs(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok(Response::new(Full::new(body)))
    }
    let site = Site::new(service_fn(|request: Request<Body>| {
        assert!(matches!(request.body().peer(), Peer::Tcp(peer) if peer.ip().is_loopback()));
        theirs(request.map(Body::into_incoming))
    }));
    let mut client = site.connect();
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(client.answer().body, b"abc");
    assert_eq!(client.get().code, 200);
}
