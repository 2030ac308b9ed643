//! Failures 51, 52, 55, 56 and 59: the head of a request, and the time before it.

use heist_net::http::Body;
use heist_net::server::{CloseKind, Limits};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::client::GET;
use crate::site::{Failure, Hello, Reply, Site};

#[test]
fn ambiguous_framing_is_refused_and_ends_the_connection() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    let framings = [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: +5",
        "content-length: 5, 6",
        "content-length: -1",
        "content-length: 99999999999999999999999",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: xchunked",
        "content-length: 5\r\ntransfer-encoding: identity",
    ];
    for framing in framings {
        let mut client = site.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: test\r\n{framing}\r\n\r\n0\r\n\r\n{GET}"));
        assert_eq!(client.answer().code, 400, "{framing}");
        assert!(client.rest().is_empty(), "{framing}");
    }
    let mut client = site.connect();
    client.send("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.answer().code, 400);
    // Until then the server discards its bytes.
    drop(client);
    assert_eq!(hello.calls(), 0);
    assert_eq!(site.answered(400), framings.len() as u64 + 1);
    assert_eq!(site.closed(CloseKind::Protocol), framings.len() as u64 + 1);
}

/// Failure: memory for the limit of header lines was allocated at once, and a limit above the
/// capacity of a header map caused a panic.
#[test]
fn limit_on_lines_beyond_what_can_be_held_is_one_that_can() {
    let limits = Limits { headers: usize::MAX, header_bytes: 256 * 1024, ..Limits::default() };
    let site = Site::with(limits, Hello::default());
    let lines =
        |count: usize| format!("GET / HTTP/1.1\r\nhost: t\r\n{}\r\n", "a:\r\n".repeat(count));
    let mut client = site.connect();
    client.send(lines(1_000));
    assert_eq!(client.answer().code, 200);
    let mut client = site.connect();
    client.send(lines(Limits::MOST_HEADERS));
    assert_eq!(client.answer().code, 431);
}

/// Failure: two lengths of different kinds, and two servers that believe different ones.
#[test]
fn length_beside_chunks_is_refused() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    for framing in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "transfer-encoding: chunked\r\ncontent-length: abc",
    ] {
        let mut client = site.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: test\r\n{framing}\r\n\r\n0\r\n\r\n{GET}"));
        let answer = client.answer();
        assert_eq!((answer.code, answer.closes()), (400, true), "{framing}");
        assert!(client.rest().is_empty(), "{framing}");
    }
    assert_eq!(hello.calls(), 0);
}

#[test]
fn head_of_too_many_bytes_or_lines_is_answered_431() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    let long = format!("GET / HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "y".repeat(16 * 1024));
    let many = format!("GET / HTTP/1.1\r\nhost: test\r\n{}\r\n", "x: y\r\n".repeat(100));
    for head in [long, many] {
        let mut client = site.connect();
        client.send(head);
        assert_eq!(client.answer().code, 431);
        client.rest();
    }
    let most = format!("GET / HTTP/1.1\r\nhost: test\r\n{}\r\n", "x: y\r\n".repeat(99));
    let mut client = site.connect();
    client.send(most);
    assert_eq!(client.answer().code, 200);
    assert_eq!((hello.calls(), site.answered(431)), (1, 2));
}

/// A head without an end never grows beyond its limit, however its bytes arrive.
#[test]
fn endless_head_is_cut_at_its_bound() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.send("GET / HTTP/1.1\r\nx: ");
    let sent = client.send_what_fits(&vec![b'y'; 64 * 1024 * 1024]);
    site.settle();
    assert_eq!(site.answered(431), 1, "after {sent} bytes");
    client.rest();
}

#[test]
fn slowloris_has_the_time_of_one_head_however_often_it_sends() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.send("GET / HTTP/1.1\r\n");
    for line in 0..7 {
        site.pass(2);
        assert!(client.is_quiet());
        client.send(format!("x: {line}\r\n"));
    }
    site.pass(2);
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::HeaderTimeout), 1);
}

#[test]
fn peer_that_never_sends_is_closed_when_a_head_would_be_late() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    site.pass(14);
    assert!(client.is_quiet());
    site.pass(2);
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::HeaderTimeout), 1);
}

#[test]
fn connection_may_idle_longer_than_a_head_may_take() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    for _ in 0..3 {
        assert_eq!(client.get().code, 200);
        site.pass(59);
        assert!(client.is_quiet());
    }
    site.pass(2);
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::IdleTimeout), 1);
}

#[test]
fn head_after_an_idle_time_has_its_own_time_from_its_first_byte() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    assert_eq!(client.get().code, 200);
    site.pass(50);
    client.send("GET / ");
    site.pass(14);
    assert!(client.is_quiet());
    client.send("HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.answer().code, 200);
    site.pass(50);
    client.send("GET / ");
    site.pass(16);
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::HeaderTimeout), 1);
}

#[test]
fn line_breaks_cannot_be_put_into_a_header() {
    async fn reflect(request: Request<Body>) -> Result<Reply, Failure> {
        let given = request.uri().query().unwrap_or_default().replace("%0d%0a", "\r\n");
        let mut response: Reply = Response::default();
        response.headers_mut().insert("x-given", HeaderValue::from_str(&given)?);
        Ok(response)
    }
    let site = Site::new(service_fn(reflect));
    let mut client = site.connect();
    client.send("GET /?a%0d%0aset-cookie:%20b HTTP/1.1\r\nhost: test\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.code, 500);
    assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
}

#[test]
fn bounds_of_heads_can_be_set() {
    let limits = Limits { header_bytes: 200, headers: 2, ..Limits::default() };
    let site = Site::with(limits, Hello::default());
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(200));
    for (head, code) in
        [(GET, 200), (&long, 431), ("GET / HTTP/1.1\r\na: b\r\nc: d\r\ne: f\r\n\r\n", 431)]
    {
        let mut client = site.connect();
        client.send(head);
        assert_eq!(client.answer().code, code, "{head}");
    }
}
