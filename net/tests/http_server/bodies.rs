//! Failures 20, 53 and 54: bodies that are too long, too slow, malformed or not read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use heist_net::http::{Body, BodyError};
use heist_net::server::{CloseKind, Limits};
use heist_scheduler::spawn;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::service::service_fn;

use crate::client::GET;
use crate::site::{Failure, Hello, Reply, Site, measure, reply};

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";

fn post(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n")
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[test]
fn answer_413_to_an_unread_upload_reaches_the_client() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    let mut client = site.connect();
    client.send(post(64 * 1024 * 1024));
    // More than the server reads, and less than it discards.
    client.send(vec![b'x'; 200 * 1024]);
    site.settle();
    let answer = client.answer();
    assert_eq!((answer.code, answer.closes(), hello.calls()), (413, true, 0));
    assert!(client.rest().is_empty());
    assert_eq!(site.answered(413), 1);
}

#[test]
fn peer_that_goes_on_sending_after_the_last_answer_is_not_reset_for_a_while() {
    let site = Site::new(Hello::default());
    let mut client = site.connect();
    client.send(post(64 * 1024 * 1024));
    assert_eq!(client.answer().code, 413);
    // If the server had closed, the first of these would be answered with a reset, and the next
    // fail.
    for _ in 0..3 {
        client.send([b'x'; 10_000]);
        site.settle();
    }
    site.pass(4);
    assert_eq!(site.closed(CloseKind::Finished), 0);
    site.pass(2);
    assert_eq!(site.closed(CloseKind::Finished), 1);

    let mut client = site.connect();
    client.send(post(64 * 1024 * 1024));
    assert_eq!(client.answer().code, 413);
    let endless = vec![b'x'; 64 * 1024 * 1024];
    let sent = client.send_what_fits(&endless);
    assert_eq!(site.closed(CloseKind::Finished), 2, "after {sent} bytes");
}

#[test]
fn too_long_an_upload_that_asks_first_is_not_told_to_go_on() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    let mut client = site.connect();
    let head = post(2 * 1024 * 1024).replace("host", "expect: 100-continue\r\nhost");
    client.send(head);
    assert_eq!(client.answer().code, 413);
    assert!(client.rest().is_empty());
    assert_eq!(hello.calls(), 0);
}

#[test]
fn upload_that_asks_first_is_told_to_go_on_when_it_is_read() {
    let site = Site::new(service_fn(measure));
    let mut client = site.connect();
    client.send(post(3).replace("host", "expect: 100-continue\r\nhost"));
    assert_eq!(client.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc");
    assert_eq!(client.answer().body, b"3");
}

#[test]
fn chunks_that_pass_the_bound_are_answered_413() {
    let site = Site::with(Limits { max_body: 1000, ..Limits::default() }, service_fn(measure));
    let mut client = site.connect();
    client.send(CHUNKED);
    client.send(chunk(&[b'x'; 999]));
    client.send(chunk(&[b'x'; 2]));
    let answer = client.answer();
    assert_eq!((answer.code, answer.closes()), (413, true));
    client.stop_sending();
    assert!(client.rest().is_empty());
    assert_eq!(site.closed(CloseKind::Finished), 1);

    let mut client = site.connect();
    client.send(CHUNKED);
    client.send(chunk(&[b'x'; 1000]));
    client.send("0\r\n\r\n");
    assert_eq!(client.answer().body, b"1000");
    assert_eq!(client.get().body, b"0");
}

#[test]
fn bound_of_one_request_can_be_lowered() {
    async fn short(request: Request<Body>) -> Result<Reply, Failure> {
        let mut body = request.into_body();
        body.set_limit(10);
        let error = match body.frame().await {
            Some(Err(error @ BodyError::TooLong { limit: 10 })) => error,
            other => panic!("{other:?}"),
        };
        Err(error.into())
    }
    let site = Site::new(service_fn(short));
    let mut client = site.connect();
    client.send(post(11));
    assert_eq!(client.answer().code, 413);
}

/// Failure: what a body still held of a large piece was lost when it was given away.
#[test]
fn body_that_was_read_in_part_is_not_given_away() {
    async fn sniff(request: Request<Body>) -> Result<Reply, Failure> {
        let mut body = request.into_body();
        body.frame().await.expect("a first frame")?;
        let given = catch_unwind(AssertUnwindSafe(|| body.into_incoming()));
        Ok(reply(if given.is_err() { "refused" } else { "given" }))
    }
    let site = Site::new(service_fn(sniff));
    let mut client = site.connect();
    client.send(post(100) + &"x".repeat(100));
    assert_eq!(client.answer().body, b"refused");
}

#[test]
fn bounds_in_time_of_one_request_can_be_set() {
    async fn bounded(mut request: Request<Body>) -> Result<Reply, Failure> {
        let is_patient = request.uri().path() == "/patient";
        let body = request.body_mut();
        body.set_timeout(if is_patient { Duration::MAX } else { Duration::from_secs(5) });
        body.set_min_receive_rate(if is_patient { 0 } else { 10_000 });
        measure(request).await
    }
    let site = Site::new(service_fn(bounded));
    let post = |path| format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\n\r\n");
    let mut patient = site.connect();
    patient.send(post("/patient"));
    let mut paused = site.connect();
    paused.send(post("/"));
    site.pass(6);
    assert_eq!(paused.answer().code, 408);
    let mut slow = site.connect();
    slow.send(post("/"));
    // Faster than the server has it.
    for _ in 0..6 {
        site.pass(2);
        slow.send([b'x'; 1400]);
    }
    assert_eq!(slow.answer().code, 408);
    slow.stop_sending();
    slow.rest();
    assert_eq!(site.closed(CloseKind::TooSlow), 1);
    site.pass(3600);
    patient.send([b'x'; 20_000]);
    assert_eq!(patient.answer().body, b"20000");
}

#[test]
fn size_of_a_chunk_that_overflows_is_malformed() {
    let site = Site::new(service_fn(measure));
    for size in ["fffffffffffffffff", "10000000000000001", "-1", "+5", "0x5"] {
        let mut client = site.connect();
        client.send(format!("{CHUNKED}{size}\r\nabc\r\n0\r\n\r\n{GET}"));
        assert_eq!(client.answer().code, 400, "{size}");
        assert!(client.rest().is_empty(), "{size}");
    }
    assert_eq!(site.closed(CloseKind::Protocol), 5);
}

#[test]
fn unread_body_is_never_taken_for_the_next_request() {
    let hello = Hello::default();
    let site = Site::new(hello.clone());
    let mut client = site.connect();
    // The first part is there when the answer is made, the rest comes later.
    let smuggled = GET.repeat(4000);
    client.send(post(smuggled.len() + 1000));
    client.send(&smuggled);
    assert_eq!(client.answer().code, 200);
    client.send_what_fits(GET.repeat(40).as_bytes());
    client.stop_sending();
    assert!(client.rest().is_empty());
    assert_eq!(hello.calls(), 1);
    assert_eq!(site.answered(200), 1);
}

#[test]
fn body_that_stands_still_is_answered_408() {
    let site = Site::new(service_fn(measure));
    let mut client = site.connect();
    client.send(post(200_000));
    client.send(vec![b'x'; 100_000]);
    site.pass(29);
    assert!(client.is_quiet());
    client.send([b'x'; 1000]);
    site.pass(29);
    assert!(client.is_quiet());
    site.pass(2);
    let answer = client.answer();
    assert_eq!((answer.code, answer.closes()), (408, true));
    client.stop_sending();
    client.rest();
    assert_eq!((site.closed(CloseKind::BodyTimeout), site.answered(408)), (1, 1));
}

#[test]
fn body_a_byte_a_second_is_answered_408() {
    let site = Site::new(service_fn(measure));
    let mut client = site.connect();
    client.send(post(200_000));
    for _ in 0..10 {
        site.pass(1);
        assert!(client.is_quiet());
        client.send("x");
    }
    site.pass(1);
    client.send("x");
    assert_eq!(client.answer().code, 408);
    client.stop_sending();
    client.rest();
    assert_eq!(site.closed(CloseKind::TooSlow), 1);
}

#[test]
fn body_that_breaks_off_does_not_look_complete() {
    let site = Site::new(service_fn(measure));
    let mut client = site.connect();
    client.send(post(10));
    client.send("abc");
    client.stop_sending();
    let answered = client.rest();
    assert!(answered.starts_with(b"HTTP/1.1 400"), "{:?}", String::from_utf8_lossy(&answered));
    assert_eq!(site.closed(CloseKind::Lost), 1);
}

#[test]
fn body_may_be_read_in_another_task_after_the_answer() {
    let hello = Hello::default();
    let read = hello.0.clone();
    let site = Site::new(service_fn(move |request: Request<Body>| {
        let read = read.clone();
        async move {
            drop(spawn(async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                read.fetch_add(body.len(), Ordering::SeqCst);
            }));
            Ok::<_, Failure>(reply("later"))
        }
    }));
    let mut client = site.connect();
    client.send(post(100_000));
    assert_eq!(client.answer().body, b"later");
    // Longer than the limits of a head and of an idle connection: neither applies.
    for _ in 0..4 {
        site.pass(20);
        client.send([b'x'; 25_000]);
    }
    site.settle();
    assert_eq!(hello.calls(), 100_000);
    assert_eq!(client.get().code, 200);
}
