//! Charges to the budget of buffered bytes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use heist_net::http::{Body, Http};
use heist_net::server::{CloseKind, Limits};
use hyper::body::{Bytes, Frame};
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::client::{GET, GUARD};
use crate::site::{Failure, Gate, Hello, Site, reply};

fn buffered(site: &Site) -> u64 {
    site.settle();
    site.server.metrics().buffered_bytes
}

/// Waits until `bytes` are charged.
#[track_caller]
fn until_buffered(site: &Site, bytes: u64) {
    let start = Instant::now();
    while buffered(site) != bytes {
        assert!(start.elapsed() < GUARD, "{} are charged", buffered(site));
    }
}

fn part_of_a_head(length: usize) -> String {
    format!("GET / HTTP/1.1\r\nhost: test\r\nx: {}", "a".repeat(length - 31))
}

/// Failure: a partial head was held without a charge. Here it follows other requests of its
/// connection, and the peer gives up.
#[test]
fn part_of_a_later_head_is_charged_until_the_connection_ends() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.get();
    assert_eq!(buffered(&site), 0);
    client.send(part_of_a_head(10_000));
    // The memory that holds it, which is at least its length.
    let start = Instant::now();
    while buffered(&site) < 10_000 {
        assert!(start.elapsed() < GUARD, "{} are charged", buffered(&site));
    }
    drop(client);
    until_buffered(&site, 0);
}

/// Failure: requests behind a slow one were held without a charge.
#[test]
fn requests_that_wait_behind_another_are_charged() {
    let (gate, open) = Gate::new();
    let site = Site::new(service_fn(move |_: Request<Body>| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok::<_, Failure>(reply("hello"))
        }
    }));
    let mut client = site.connect();
    client.send(GET);
    while site.server.metrics().http.unwrap().in_flight == 0 {
        site.settle();
    }
    assert_eq!(buffered(&site), 0);
    client.send(GET.repeat(2));
    until_buffered(&site, 2 * GET.len() as u64);
    for _ in 0..3 {
        open.send(()).unwrap();
        client.answer();
    }
    assert_eq!(buffered(&site), 0);
}

/// A body has other limits; it is not charged, even if its bytes are not counted.
#[test]
fn body_is_not_charged() {
    let limits = Limits { buffered_bytes: 1000, ..Limits::default() };
    let theirs = service_fn(async |request: Request<Body>| {
        use http_body_util::BodyExt;
        let body = request.into_body().into_incoming().collect().await?.to_bytes();
        Ok::<_, Failure>(reply(body.len().to_string()))
    });
    let site = Site::with(limits, theirs);
    let mut client = site.connect();
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 500000\r\n\r\n");
    for _ in 0..5 {
        client.send(vec![b'x'; 100_000]);
        assert_eq!(buffered(&site), 0);
    }
    assert_eq!(client.answer().body, b"500000");
}

/// Sends the head of a large upload to a service that does not read it yet, and all of its body once that does.
fn uploads_with(limits: Limits, charged: u64) {
    let (gate, open) = Gate::new();
    let site = Site::with(
        limits,
        service_fn(move |request: Request<Body>| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                let body = http_body_util::BodyExt::collect(request.into_body()).await?.to_bytes();
                Ok::<_, Failure>(reply(body.len().to_string()))
            }
        }),
    );
    let mut client = site.connect();
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 500000\r\n\r\n");
        while site.server.metrics().http.unwrap().in_flight == 0 {
            site.settle();
        }
        until_buffered(&site, charged);
        open.send(()).unwrap();
        client.send(vec![b'x'; 500_000]);
        assert_eq!(client.answer().body, b"500000");
    }
    // The buffer is given up where the connection idles.
    site.pass(6);
    until_buffered(&site, 0);
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\nsmall");
    open.send(()).unwrap();
    assert_eq!(client.answer().body, b"5");
    assert_eq!(buffered(&site), 0);
}

/// Failure: large buffers, which a budget that is small or used up has no room for, take all the memory, or the
/// upload is refused for them.
#[test]
fn large_body_has_a_large_buffer_where_a_quarter_of_the_budget_allows_it() {
    uploads_with(Limits { buffered_bytes: 2 << 20, ..Limits::default() }, 256 << 10);
    uploads_with(Limits { buffered_bytes: (1 << 20) - 1, ..Limits::default() }, 0);
}

/// A number of frames of 1,000 bytes.
struct Frames(u32);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        Poll::Ready(left.map(|_| Ok(Frame::data(Bytes::from_static(&[b'x'; 1000])))))
    }
}

/// Failure: a poll that had used up its operations was mistaken for a peer that does not read: the
/// remaining output was charged, and could close the connection.
#[test]
fn end_of_a_turn_is_not_taken_for_a_peer_that_does_not_read() {
    let limits = Limits { buffered_bytes: 1, ..Limits::default() };
    let service = service_fn(async |_: Request<Body>| Ok::<_, Failure>(Response::new(Frames(20))));
    for operations in 1..=3 {
        let site = Site::with_budget(operations, |_| false, limits.clone(), Http::new(service));
        let mut client = site.connect();
        for _ in 0..3 {
            assert_eq!(client.get().body.len(), 20_000);
        }
        assert_eq!(site.closed(CloseKind::Memory), 0);
    }
}

/// Failure: as above, after the last answer: the bytes that the peer still sent were not discarded,
/// and the reset could destroy the answer.
#[test]
fn end_of_a_turn_does_not_end_the_lingering() {
    let request = "GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let more = vec![b'x'; 100_000];
    for operations in [128, 3, 2, 1] {
        let limits = Limits::default();
        let hello = Http::new(Hello::default());
        let site = Site::with_budget(operations, |_| false, limits, hello);
        let mut client = site.connect();
        site.pass_unseen(0, || {
            client.send(request);
            client.send(&more);
        });
        assert!(client.answer().closes());
        assert!(client.rest().is_empty());
        drop(client);
        assert_eq!(site.closed(CloseKind::Finished), 1);
        let sent = (request.len() + more.len()) as u64;
        assert_eq!(site.server.metrics().bytes_read, sent, "{operations}");
    }
}

/// Failure: a server that is to discard nothing kept the connection for its linger timeout.
#[test]
fn server_that_discards_nothing_does_not_wait_for_what_the_peer_still_sends() {
    let limits = Limits { linger_bytes: 0, ..Limits::default() };
    let site = Site::with(limits, Hello::default());
    let mut client = site.connect();
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 99999999999\r\n\r\n");
    assert_eq!(client.answer().code, 413);
    assert_eq!(site.closed(CloseKind::Finished), 1);
}
