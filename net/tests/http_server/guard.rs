//! Failures 77, 79, 97 to 99, and 103: requests that are refused before hyper reads them.

use heist_net::http::Body;
use heist_net::server::{CloseKind, Limits};
use hyper::Request;
use hyper::service::service_fn;

use crate::client::GET;
use crate::site::{Failure, Gate, Hello, Site, measure, reply};

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";

/// Failure: a line feed alone ends a trailer section for one parser of hyper's and not for the
/// other, and the bytes between are dropped: a whole request.
#[test]
fn lone_line_feed_in_a_trailer_section_is_refused() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    for trailers in
        ["0\r\n\n", "0\r\nx: 1\r\n\n", "0\r\nx: 1\n\r\n", "0\n\r\n", "0\r\n\n\0\r\n\r\n"]
    {
        let mut client = site.connect();
        client.send(format!("{CHUNKED}5\r\nhello\r\n{trailers}{GET}{GET}"));
        let answer = client.answer();
        assert_eq!((answer.code, answer.closes()), (400, true), "{trailers:?}");
        assert!(client.rest().is_empty(), "{trailers:?}");
    }
    assert_eq!((hello.calls(), site.closed(CloseKind::Protocol)), (0, 5));
}

/// The same for a body after its head has reached hyper: the service gets an error.
#[test]
fn lone_line_feed_behind_a_body_that_is_being_read_is_refused() {
    let site = Site::new(service_fn(measure));
    let mut client = site.connect();
    client.send(CHUNKED);
    client.send("5\r\nhello\r\n");
    site.settle();
    client.send(format!("0\r\n\n{GET}"));
    let answer = client.answer();
    assert_eq!((answer.code, answer.closes()), (400, true));
    assert!(client.rest().is_empty());
    drop(client);
    assert_eq!(site.closed(CloseKind::Protocol), 1);
}

/// Failure: a request without a host, with two, or with an invalid one is served (hyper 3777).
#[test]
fn request_needs_one_valid_host() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    for host in ["", "host: a\r\nhost: a\r\n", "host: a b\r\n", "host: u@a\r\n", "host: [::1\r\n"] {
        let mut client = site.connect();
        client.send(format!("GET / HTTP/1.1\r\n{host}\r\n"));
        let answer = client.answer();
        assert_eq!((answer.code, answer.closes()), (400, true), "{host:?}");
        assert!(answer.head.contains("content-type: text/plain"), "{}", answer.head);
        assert!(answer.head.contains("\r\ndate: "), "{}", answer.head);
    }
    assert_eq!((hello.calls(), site.answered(400)), (0, 5));
    let mut client = site.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().code, 200);
}

#[test]
fn requests_before_a_bad_one_are_answered_first_and_those_behind_it_not() {
    let (gate, go) = Gate::new();
    let site = Site::new(service_fn(move |_: Request<Body>| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok::<_, Failure>(reply("fine"))
        }
    }));
    let mut client = site.connect();
    client.send(format!("{GET}{GET}GET / HTTP/1.1\r\n\r\n{GET}"));
    site.settle();
    assert!(client.is_quiet());
    for _ in 0..2 {
        go.send(()).unwrap();
        let answer = client.answer();
        assert_eq!((&answer.body[..], answer.closes()), (&b"fine"[..], false));
    }
    assert_eq!(client.answer().code, 400);
    assert!(client.rest().is_empty());
    drop(client);
    assert_eq!((site.answered(200), site.answered(400)), (2, 1));
    assert_eq!(site.closed(CloseKind::Protocol), 1);
}

#[test]
fn bad_request_behind_the_last_one_is_not_answered() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\nno request\r\n\r\n");
    assert_eq!(client.answer().code, 200);
    assert!(client.rest().is_empty());
    drop(client);
    assert_eq!((site.answered(400), site.closed(CloseKind::Finished)), (0, 1));
}

/// Failure: hyper leaves the transport open once a request has asked for an upgrade, and the last
/// answer is lost.
#[test]
fn bad_request_behind_one_that_asks_for_an_upgrade_is_answered() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n");
    assert_eq!(client.answer().code, 200);
    client.send("no request\r\n\r\n");
    assert_eq!(client.answer().code, 400);
    // Its bytes are discarded, as after any other refusal.
    client.send([b'x'; 10_000]);
    site.settle();
    client.stop_sending();
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::Protocol), 1);
}

#[test]
fn head_is_refused_in_the_same_way_wherever_it_is_cut() {
    let site = Site::new(Hello::default());
    let head = "GET / HTTP/1.1\r\nhost: a b\r\n\r\n";
    for cut in 1..head.len() {
        let mut client = site.connect();
        client.send(&head[..cut]);
        site.settle();
        client.send(&head[cut..]);
        assert_eq!(client.answer().code, 400, "{cut}");
        assert!(client.rest().is_empty(), "{cut}");
    }
}

#[test]
fn request_is_served_in_the_same_way_wherever_it_is_cut() {
    let site = Site::new(service_fn(measure));
    let request = format!("{GET}{CHUNKED}3\r\nabc\r\n0\r\nx: y\r\n\r\n");
    let mut client = site.connect();
    for cut in 1..request.len() {
        client.send(&request[..cut]);
        site.settle();
        client.send(&request[cut..]);
        assert_eq!((client.answer().body, client.answer().body), (b"0".to_vec(), b"3".to_vec()));
    }
}

/// Failure: the server waits for a body that is known to be too long.
#[test]
fn length_that_passes_the_bound_is_refused_before_the_body_comes() {
    let hello = Hello::default();
    let site = Site::with(Limits { max_body: 10, ..Limits::default() }, hello.clone());
    for body in [
        "content-length: 11\r\n\r\n",
        "content-length: 18446744073709551615\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nb\r\n",
        "transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n",
    ] {
        let mut client = site.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: test\r\n{body}"));
        let answer = client.answer();
        assert_eq!((answer.code, answer.closes()), (413, true), "{body}");
    }
    assert_eq!((hello.calls(), site.answered(413)), (0, 5));
}

/// Failure: a target that is too long is reported as header fields that are too long.
#[test]
fn target_has_a_bound_of_its_own() {
    let hello = Hello::default();
    let site = Site::with(Limits { target_bytes: 100, ..Limits::default() }, hello.clone());
    for (length, code) in [(100, 200), (101, 414), (70_000, 414)] {
        let mut client = site.connect();
        client.send(format!("GET /{} HTTP/1.1\r\nhost: test\r\n\r\n", "a".repeat(length - 1)));
        assert_eq!(client.answer().code, code, "{length}");
    }
    let mut client = site.connect();
    client.send(format!("GET /{}", "a".repeat(100)));
    assert_eq!(client.answer().code, 414);
    assert_eq!(hello.calls(), 1);
}

#[test]
fn refusal_of_a_head_request_has_no_content() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.send("HEAD / HTTP/1.1\r\n\r\n");
    let head = client.until(b"\r\n\r\n");
    assert!(head.starts_with(b"HTTP/1.1 400 "), "{}", head.escape_ascii());
    client.stop_sending();
    assert!(client.rest().is_empty());
}

/// Failure: a head that goes on behind a served request has the time limit of an idle connection.
#[test]
fn part_of_a_head_behind_a_request_has_the_time_of_a_head() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.send(format!("{GET}GET / "));
    assert_eq!(client.answer().code, 200);
    site.pass(14);
    assert!(client.is_quiet());
    site.pass(2);
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::HeaderTimeout), 1);
}

/// Failure: partial heads are not charged to the server's budget.
#[test]
fn parts_of_heads_are_charged_to_the_budget() {
    let limits = Limits { buffered_bytes: 64 * 1024, ..Limits::default() };
    let site = Site::with(limits, Hello::default());
    let part = format!("GET / HTTP/1.1\r\nhost: test\r\nx: {}", "a".repeat(12 * 1024));
    let mut clients: Vec<_> = (0..20).map(|_| site.connect()).collect();
    clients.iter_mut().for_each(|client| client.send(&part));
    let closed = site.closed(CloseKind::Memory);
    assert!((14..=18).contains(&closed), "{closed}");
    let buffered = site.server.metrics().buffered_bytes;
    assert!((24 * 1024..=64 * 1024).contains(&buffered), "{buffered}");
    drop(clients);
    assert_eq!(site.closed(CloseKind::Lost), 20 - closed);
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}
