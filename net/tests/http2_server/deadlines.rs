//! Time limits, on a clock that the tests move.

use std::time::Duration;

use heist_net::http::Body;
use heist_net::server::{CloseKind, Http2Limits, Limits};
use hyper::Request;
use hyper::service::service_fn;

use crate::client::*;
use crate::site::{Failure, Gate, Hello, measure, reply};

#[test]
fn preface_and_settings_have_to_come_in_time() {
    let first = &PREFACE[..10];
    let settings = settings(&[]);
    for came in [&[][..], first, PREFACE, &[PREFACE, &settings[..5]].concat()] {
        let site = crate::site(Limits::default(), Hello::default());
        let mut client = site.connect();
        client.send(came);
        site.pass(14);
        assert!(client.is_open());
        site.pass(2);
        assert!(!client.is_open());
        drop(client);
        assert_eq!(site.closed(CloseKind::HeaderTimeout), 1, "{came:?}");
    }
}

#[test]
fn connection_without_streams_is_closed_and_pings_do_not_prolong_it() {
    let http2 = Http2Limits { ping_interval: None, ..Http2Limits::default() };
    let site = crate::site(Limits { http2, ..Limits::default() }, Hello::default());
    let mut client = site.connect();
    client.begin(&[]);
    assert_eq!(client.get(1, "/").0, 200);
    for _ in 0..5 {
        site.pass(11);
        client.send(&frame(PING, 0, 0, &[0; 8]));
        assert_eq!(client.until(PING).flags, ACK);
    }
    site.pass(6);
    assert_eq!(client.goaway(), Some(NO_ERROR));
    drop(client);
    assert_eq!(site.closed(CloseKind::IdleTimeout), 1);
}

/// Failure: a connection whose version its first bytes tell is idle since the beginning of the clock,
/// and is closed before its first request comes.
#[test]
fn connection_without_a_request_yet_is_idle_from_then_on() {
    let site = crate::site(Limits::default(), Hello::default());
    site.pass(3600);
    let mut client = site.connect();
    client.begin(&[]);
    site.pass(50);
    assert_eq!(client.get(1, "/").0, 200);
}

/// Failure 61: a header block that never ends, of which a part comes now and then.
#[test]
fn header_block_in_parts_has_to_end_in_time() {
    let site = crate::site(Limits::default(), Hello::default());
    let mut client = site.connect();
    client.begin(&[]);
    assert_eq!(client.get(1, "/").0, 200);
    client.send(&frame(HEADERS, END_STREAM, 3, &block("GET", "/")));
    let mut more = Vec::new();
    field(&mut more, "x", "y");
    site.pass(8);
    client.send(&frame(CONTINUATION, 0, 3, &more));
    site.pass(8);
    assert_eq!(client.goaway(), Some(NO_ERROR));
    drop(client);
    assert_eq!(site.closed(CloseKind::HeaderTimeout), 1);
}

#[test]
fn body_that_stands_still_ends_its_request_and_no_other() {
    let site = crate::site(Limits::default(), service_fn(measure));
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&[request(1, "/", false), frame(DATA, 0, 1, &[0; 100])].concat());
    site.pass(31);
    assert_eq!(client.answer(1).0, 408);
    assert_eq!(client.get(3, "/").0, 200);
}

#[test]
fn body_may_stand_still_where_its_request_has_a_bound_of_its_own() {
    let site = crate::site(
        Limits::default(),
        service_fn(|mut request: Request<Body>| {
            request.body_mut().set_timeout(Duration::MAX);
            request.body_mut().set_min_receive_rate(0);
            measure(request)
        }),
    );
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&[request(1, "/", false), frame(DATA, 0, 1, &[0; 1])].concat());
    site.pass(59);
    client.send(&frame(DATA, END_STREAM, 1, &[0; 1]));
    assert_eq!(client.answer(1), (200, b"2".to_vec()));
}

/// Failure 62: a window of zero, held for ever.
#[test]
fn answer_that_the_peer_does_not_take_is_reset_and_others_go_on() {
    let site = crate::site(Limits::default(), Hello::default());
    let mut client = site.connect();
    client.begin(&[(4, 0)]);
    client.send(&request(1, "/", true));
    site.pass(20);
    // It takes another one.
    client.send(&[request(3, "/", true), window_update(3, 100)].concat());
    assert_eq!(client.answer(3).0, 200);
    assert_eq!(site.server.metrics().buffered_bytes, 5);
    site.pass(11);
    assert_eq!(client.until(RST_STREAM).stream, 1);
    assert_eq!(site.server.metrics().buffered_bytes, 0);
    client.send(&[request(5, "/", true), window_update(5, 100)].concat());
    assert_eq!(client.answer(5).0, 200);
}

#[test]
fn peer_that_takes_nothing_of_any_answer_is_cut_off() {
    let site = crate::site(Limits::default(), Hello::default());
    let mut client = site.connect();
    client.begin(&[(4, 0)]);
    for stream in [1, 3, 5] {
        client.send(&request(stream, "/", true));
        site.pass(5);
    }
    site.pass(16);
    assert_eq!(client.goaway(), None);
    assert_eq!(site.closed(CloseKind::WriteTimeout), 1);
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}

/// Answers with so many bytes at once, and grants a byte of window in every other second.
fn drip(length: usize) -> (crate::site::Site, Client) {
    let body = "x".repeat(length);
    let site = crate::site(
        Limits::default(),
        service_fn(move |_: Request<Body>| {
            let body = body.clone();
            async move { Ok::<_, Failure>(reply(body)) }
        }),
    );
    let mut client = site.connect();
    client.begin(&[(4, 0)]);
    client.send(&request(1, "/", true));
    for _ in 0..6 {
        site.pass(2);
        client.send(&window_update(1, 1));
    }
    (site, client)
}

/// Failure: a window that is opened by a byte now and then keeps an answer, and its memory, for ever.
#[test]
fn answer_that_is_taken_too_slowly_is_reset() {
    let (site, mut client) = drip(100_000);
    assert_eq!(client.until(RST_STREAM).stream, 1);
    site.settle();
    assert_eq!(site.server.metrics().buffered_bytes, 0);
    client.send(&frame(PING, 0, 0, &[0; 8]));
    assert_eq!(client.until(PING).flags, ACK);
}

/// The last part of an answer is hyper's alone, which has no means to reset it.
#[test]
fn last_part_of_an_answer_that_is_taken_too_slowly_ends_the_connection() {
    let (site, mut client) = drip(1000);
    assert_eq!(client.goaway(), None);
    assert_eq!(site.closed(CloseKind::TooSlow), 1);
    assert_eq!(site.server.metrics().buffered_bytes, 0);
}

#[test]
fn long_answer_is_whole_and_ends() {
    let body = "x".repeat(3_000_000);
    let site = crate::site(
        Limits::default(),
        service_fn(move |_: Request<Body>| {
            let body = body.clone();
            async move { Ok::<_, Failure>(reply(body)) }
        }),
    );
    let mut client = site.connect();
    client.begin(&[(4, 4_000_000)]);
    client.send(&window_update(0, 4_000_000));
    assert_eq!(client.get(1, "/").1.len(), 3_000_000);
}

#[test]
fn peer_that_is_gone_is_noticed_by_a_ping() {
    let (gate, _go) = Gate::new();
    let site = crate::site(
        Limits::default(),
        service_fn(move |_: Request<Body>| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, Failure>(reply("late"))
            }
        }),
    );
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&request(1, "/", true));
    for _ in 0..3 {
        // It answers, and lives on.
        site.pass(61);
        let ping = loop {
            let ping = client.until(PING);
            if ping.flags == 0 {
                break ping;
            }
        };
        client.send(&frame(PING, ACK, 0, &ping.payload));
        site.settle();
    }
    assert!(client.is_open());
    site.pass(61);
    site.pass(21);
    let _ = client.goaway();
    drop(client);
    assert_eq!(site.closed(CloseKind::Lost), 1);
}

/// Failure: the longest time panics where it is added to a time of the system's clock.
#[test]
fn ping_may_be_asked_for_and_waited_for_without_limit() {
    for (interval, is_sent) in [(Duration::from_secs(60), true), (Duration::MAX, false)] {
        let http2 = Http2Limits {
            ping_interval: Some(interval),
            ping_timeout: Duration::MAX,
            ..Http2Limits::default()
        };
        let limits = Limits { http2, idle_timeout: Duration::MAX, ..Limits::default() };
        let site = crate::site(limits, Hello::default());
        let mut client = site.connect();
        client.begin(&[]);
        assert_eq!(client.get(1, "/").0, 200);
        site.pass(61);
        if is_sent {
            assert_eq!(client.until(PING).flags, 0);
        }
        site.pass(1000);
        assert_eq!(client.get(3, "/").0, 200);
    }
}

#[test]
fn old_connection_takes_no_further_stream_and_finishes_the_others() {
    let limits = Limits {
        max_connection_age: Some(Duration::from_secs(100)),
        idle_timeout: Duration::from_secs(1000),
        http2: Http2Limits { ping_interval: None, ..Http2Limits::default() },
        ..Limits::default()
    };
    let (gate, go) = Gate::new();
    let site = crate::site(
        limits,
        service_fn(move |_: Request<Body>| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, Failure>(reply("finished"))
            }
        }),
    );
    let mut client = site.connect();
    client.begin(&[]);
    client.send(&request(1, "/", true));
    site.pass(89);
    client.send(&frame(PING, 0, 0, &[1; 8]));
    while client.until(PING).payload != [1; 8] {}
    site.pass(22);
    assert_eq!(client.until(GOAWAY).number(4), NO_ERROR);
    let ping = client.until(PING);
    client.send(&frame(PING, ACK, 0, &ping.payload));
    go.send(()).unwrap();
    assert_eq!(client.answer(1).1, b"finished");
    let _ = client.goaway();
    drop(client);
    assert_eq!(site.closed(CloseKind::Finished), 1);
}

#[test]
fn old_connection_of_http1_ends_with_its_next_answer() {
    let limits = Limits { max_connection_age: Some(Duration::from_secs(20)), ..Limits::default() };
    let site = crate::site(limits, Hello::default());
    let mut client = site.connect();
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(get);
    assert!(!client.text_until("hello").contains("connection: close"));
    site.pass(23);
    client.send(get);
    assert!(client.text_until("hello").contains("connection: close"));
    assert_eq!(client.goaway(), None);
    drop(client);
    assert_eq!(site.closed(CloseKind::Finished), 1);
}
