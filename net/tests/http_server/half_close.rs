//! Failure 76: a peer that has finished sending still waits for its answer.

use std::sync::atomic::Ordering;

use heist_net::http::Body;
use heist_net::server::{CloseKind, Limits};
use heist_scheduler::yield_now;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::client::GET;
use crate::site::{Failure, Gate, Hello, Reply, Site, measure, reply};

/// Answers with the length of the body, after the server has polled its sockets.
async fn slowly(request: Request<Body>) -> Result<Reply, Failure> {
    let answer = measure(request).await;
    for _ in 0..100 {
        yield_now().await;
    }
    answer
}

async fn echo(request: Request<Body>) -> Result<Response<Body>, Failure> {
    Ok(Response::new(request.into_body()))
}

fn large() -> Limits {
    Limits { max_body: 2_000_000, ..Limits::default() }
}

fn post(length: usize) -> String {
    let head = format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n");
    head + &"x".repeat(length)
}

/// Failure: a whole request with the end of the input right behind it gets no answer (hyper 1981,
/// 3879; of 300 `GET`s 56).
#[test]
fn whole_request_with_the_end_behind_it_is_answered() {
    let site = Site::with(large(), service_fn(slowly));
    for (request, answer) in [(GET.to_owned(), "0"), (post(5), "5"), (post(1_000_000), "1000000")] {
        for run in 0..100 {
            let mut client = site.connect();
            client.send(&request);
            client.stop_sending();
            assert_eq!(client.answer().body, answer.as_bytes(), "run {run}");
            assert!(client.rest().is_empty(), "run {run}");
        }
    }
    assert_eq!((site.closed(CloseKind::Finished), site.answered(200)), (300, 300));
}

#[test]
fn echo_of_a_body_with_the_end_behind_it_is_whole() {
    let site = Site::with(large(), service_fn(echo));
    for run in 0..100 {
        let mut client = site.connect();
        client.send(post(100_000));
        client.stop_sending();
        assert_eq!(client.answer().body.len(), 100_000, "run {run}");
        assert!(client.rest().is_empty(), "run {run}");
    }
    assert_eq!(site.closed(CloseKind::Finished), 100);
}

#[test]
fn pipelined_requests_with_the_end_behind_them_are_all_answered() {
    let site = Site::new(service_fn(slowly));
    for run in 0..100 {
        let mut client = site.connect();
        client.send(GET.repeat(3));
        client.stop_sending();
        for _ in 0..3 {
            assert_eq!(client.answer().body, b"0", "run {run}");
        }
        assert!(client.rest().is_empty(), "run {run}");
    }
    assert_eq!((site.closed(CloseKind::Finished), site.answered(200)), (100, 300));
}

/// Failure: a service is dropped because its peer has finished sending; or it is kept, and the end
/// of the input makes a worker spin meanwhile.
#[test]
fn end_of_the_input_neither_ends_a_service_nor_spins() {
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
    client.stop_sending();
    site.settle();
    let polls = || site.runtime.handle().metrics().workers.iter().map(|one| one.polls).sum::<u64>();
    let before = polls();
    site.settle();
    // `settle` itself takes about 300.
    let taken = polls() - before;
    assert!(taken < 330, "{taken}");
    // Longer than any time limit of a connection.
    site.pass(300);
    assert_eq!(site.server.metrics().http.unwrap().in_flight, 1);
    go.send(()).unwrap();
    assert_eq!(client.answer().body, b"done");
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::Finished), 1);
}

#[test]
fn end_of_the_input_between_requests_closes_at_once() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    let mut client = site.connect();
    assert_eq!(client.get().code, 200);
    client.stop_sending();
    assert!(client.rest().is_empty());
    let mut blank = site.connect();
    blank.send("\r\n");
    blank.stop_sending();
    assert!(blank.rest().is_empty());
    assert_eq!((site.closed(CloseKind::Finished), hello.0.load(Ordering::SeqCst)), (2, 1));
}

#[test]
fn end_of_the_input_in_a_head_is_a_loss() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.send(GET);
    client.send(&GET[..20]);
    client.stop_sending();
    assert_eq!(client.answer().code, 200);
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::Lost), 1);
}

/// Failure: a service goes on for a peer that has left.
#[test]
fn reset_ends_a_service_that_reads_nothing_any_more() {
    let (gate, go) = Gate::new();
    let site = Site::new(service_fn(move |request: Request<Body>| {
        let gate = gate.clone();
        async move {
            let length = request.into_body().collect().await?.to_bytes().len();
            gate.pass().await;
            Ok::<_, Failure>(reply(length.to_string()))
        }
    }));
    let mut client = site.connect();
    client.send(post(5));
    site.settle();
    assert_eq!(site.server.metrics().http.unwrap().in_flight, 1);
    client.reset();
    assert_eq!(site.closed(CloseKind::Lost), 1);
    assert_eq!(site.server.metrics().http.unwrap().in_flight, 0);
    go.send(()).unwrap();
}
