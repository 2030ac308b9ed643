//! Streams of one connection beside each other.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use heist_net::http::Body;
use heist_net::server::{CloseKind, Limits};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::client::*;
use crate::site::{Failure, Gate, Hello, measure, reply};

#[test]
fn panic_of_a_service_ends_its_stream_alone() {
    let site = crate::site(
        Limits::default(),
        service_fn(|request: Request<Body>| {
            let path = request.uri().path().to_owned();
            assert!(path != "/call", "as asked");
            async move {
                assert!(path != "/poll", "as asked");
                Ok::<_, Failure>(reply("fine"))
            }
        }),
    );
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&request(1, "/poll", true));
    assert_eq!(client.until(RST_STREAM).stream, 1);
    assert_eq!(client.get(3, "/call").0, 500);
    assert_eq!(client.get(5, "/"), (200, b"fine".to_vec()));
    assert_eq!((site.answered(0), site.answered(200)), (1, 1));
    assert_eq!(site.runtime.handle().metrics().caught_panics, 2);
}

/// Says how much of it was asked for.
struct Endless(Arc<AtomicUsize>);

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(16 * 1024, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 16 * 1024])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Failure: a long answer holds up a short one on the same connection.
#[test]
fn endless_answer_does_not_starve_a_short_one() {
    let asked = Arc::new(AtomicUsize::new(0));
    let body = Arc::clone(&asked);
    let site = crate::site(
        Limits::default(),
        service_fn(move |request: Request<Body>| {
            let body = match request.uri().path() {
                "/endless" => Endless(Arc::clone(&body)).boxed(),
                _ => Full::new(Bytes::from_static(b"short")).boxed(),
            };
            async move { Ok::<_, Failure>(Response::new(body)) }
        }),
    );
    let mut client = site.connect();
    // Windows that are not used up.
    client.begin(&[(4, (1 << 31) - 1)]);
    client.send(&window_update(0, (1 << 31) - 1 - 65_535));
    client.send(&request(1, "/endless", true));
    // It is under way.
    while client.until(DATA).stream != 1 {}
    client.send(&request(3, "/", true));
    // All of it would come first, were it not in turn.
    let mut between = 0;
    loop {
        let frame = client.until(DATA);
        if frame.stream == 3 {
            assert_eq!(frame.payload, b"short");
            break;
        }
        between += frame.payload.len();
        assert!(between < 256 << 20, "the short answer does not come");
    }
    // What waits is bounded.
    site.settle();
    assert!(site.server.metrics().buffered_bytes < 4 << 20);
}

#[test]
fn reset_of_the_peer_drops_the_service_of_that_stream() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let site = crate::site(
        Limits::default(),
        service_fn(move |_: Request<Body>| {
            let held = Dropped(Arc::clone(&count));
            async move {
                let _held = held;
                std::future::pending::<Result<crate::site::Reply, Failure>>().await
            }
        }),
    );
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&[request(1, "/", true), request(3, "/", true)].concat());
    site.settle();
    assert_eq!(site.server.metrics().http.unwrap().http2.open_streams, 2);
    client.send(&reset(1));
    site.settle();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert_eq!(site.server.metrics().http.unwrap().http2.resets_received, 1);
    drop(client);
    site.settle();
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    assert_eq!(
        site.server.metrics().connections_idle + site.server.metrics().connections_active,
        0
    );
}

#[test]
fn forced_close_drops_all_streams_before_the_permit_is_released() {
    let (gate, _go) = Gate::new();
    let site = crate::site(
        Limits::default(),
        service_fn(move |_: Request<Body>| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, Failure>(reply("never"))
            }
        }),
    );
    let mut client = site.connect();
    client.begin(&[]);
    (0..20).for_each(|n| client.send(&request(1 + 2 * n, "/", true)));
    site.settle();
    let report = site.runtime.block_on(site.server.drain(std::time::Duration::ZERO));
    assert_eq!(report.force_closed, 1);
    assert_eq!(site.closed(CloseKind::Cancelled), 1);
    assert_eq!(site.server.metrics().http.unwrap().http2.open_streams, 0);
}

#[test]
fn bounds_of_a_request_are_those_of_http1() {
    let limits = Limits { max_body: 10, headers: 20, target_bytes: 100, ..Limits::default() };
    let site = crate::site(limits, service_fn(measure));
    let mut client = site.connect();
    client.begin(&[]);
    assert_eq!(client.get(1, &format!("/{}", "a".repeat(99))).0, 200);
    assert_eq!(client.get(3, &format!("/{}", "a".repeat(100))).0, 414);
    for (stream, fields, code) in [(5, 20, 200), (7, 21, 431)] {
        let mut head = block("GET", "/");
        (0..fields).for_each(|n| field(&mut head, &format!("x{n}"), "y"));
        // The pairs of a cookie may come in fields of their own, and count as one.
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
        assert_eq!(client.answer(stream).0, code, "{fields} fields");
    }
    let mut head = block("GET", "/");
    (0..50).for_each(|n| field(&mut head, "cookie", &format!("c{n}=d")));
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 9, &head));
    assert_eq!(client.answer(9).0, 200);
    // Announced, and found out.
    let mut head = block("POST", "/");
    field(&mut head, "content-length", "11");
    client.send(&frame(HEADERS, END_HEADERS, 11, &head));
    assert_eq!(client.answer(11).0, 413);
    // The answer is whole, and the client need not send the rest (RFC 9113, 8.1).
    let reset = client.until(RST_STREAM);
    assert_eq!((reset.stream, reset.number(0)), (11, NO_ERROR));
    client.send(&[request(13, "/", false), frame(DATA, END_STREAM, 13, &[0; 11])].concat());
    assert_eq!(client.answer(13).0, 413);
    client.send(&[request(15, "/", false), frame(DATA, END_STREAM, 15, &[0; 10])].concat());
    assert_eq!(client.answer(15), (200, b"10".to_vec()));
}

#[test]
fn request_needs_one_host() {
    let site = crate::site(Limits::default(), Hello::default());
    let mut client = site.connect();
    client.begin(&[]);
    let none = [0x82, 0x86, 0x84];
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &none));
    assert_eq!(client.answer(1).0, 400);
    for (stream, host, code) in [(3, "A", 200), (5, "b", 400)] {
        let mut head = block("GET", "/");
        field(&mut head, "host", host);
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
        assert_eq!(client.answer(stream).0, code, "{host}");
    }
}

#[test]
fn header_list_that_is_too_long_is_answered_and_the_connection_goes_on() {
    let limits = Limits { header_bytes: 1000, ..Limits::default() };
    let site = crate::site(limits, Hello::default());
    let mut client = site.connect();
    client.begin(&[]);
    let mut head = block("GET", "/");
    field(&mut head, "x", &"y".repeat(1200));
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head));
    assert_eq!(client.answer(1).0, 431);
    assert_eq!(client.get(3, "/").0, 200);
}

#[test]
fn overloaded_server_sheds_requests_and_keeps_the_connection() {
    let overloaded = Arc::new(Mutex::new(false));
    let is_overloaded = Arc::clone(&overloaded);
    let site = crate::site::Site::serving(
        move |_| *is_overloaded.lock().unwrap(),
        Limits::default(),
        heist_net::http::Http::new(Hello::default()).prior_knowledge(true),
    );
    let mut client = site.connect();
    client.begin(&[]);
    assert_eq!(client.get(1, "/").0, 200);
    *overloaded.lock().unwrap() = true;
    assert_eq!(client.get(3, "/").0, 503);
    *overloaded.lock().unwrap() = false;
    assert_eq!(client.get(5, "/").0, 200);
    assert_eq!(site.server.metrics().shed(), 1);
}
