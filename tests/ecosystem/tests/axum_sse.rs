//! Event streams of axum on a server of heist: their end at a drain, comments in between, and no limit that
//! cuts a quiet one.

use std::convert::Infallible;
use std::future::ready;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use axum::Router;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use futures::channel::oneshot;
use futures::future::Shared;
use futures::{FutureExt as _, Stream, StreamExt, stream};
use heist::net::HyperExecutor;
use heist::server::{Http2Limits, Limits};
use heist_axum::{BuilderExt as _, Drain, KeepAliveStream};
use heist_ecosystem::site::{GUARD, Site, builder};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};

type Item = Result<Event, Infallible>;

/// Begins to read an event stream; the head is read.
fn subscribe(site: &Site) -> BufReader<TcpStream> {
    let mut stream = site.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    reader
}

/// Reads one chunk of an answer.
fn chunk(reader: &mut impl BufRead) -> String {
    let mut size = String::new();
    reader.read_line(&mut size).unwrap();
    let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk).unwrap();
    chunk.truncate(size);
    String::from_utf8(chunk).unwrap()
}

async fn until_drain(Drain(drain): Drain) -> Sse<impl Stream<Item = Item>> {
    let first = stream::once(ready(Ok(Event::default().data("first"))));
    Sse::new(first.chain(stream::pending()).take_until(drain.draining_owned()))
}

/// Failure: event streams hold a drain up until its grace is over.
#[test]
fn event_stream_ends_at_the_drain() {
    let site = Site::axum(Limits::default(), Router::new().route("/", get(until_drain)));
    let mut reader = subscribe(&site);
    assert_eq!(chunk(&mut reader), "data: first\n\n");
    let drain = site.drain(GUARD);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "0\r\n\r\n");
    let report = drain.join().unwrap();
    assert_eq!((report.failed, report.force_closed), (0, 0), "{report}");
}

#[test]
fn event_stream_of_http2_ends_at_the_drain() {
    let site = Site::axum(Limits::default(), Router::new().route("/", get(until_drain)));
    let address = site.address();
    let (drain, rest) = site.runtime.block_on(async {
        let mut body = request(address).await;
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "data: first\n\n");
        (site.drain(GUARD), body.collect().await)
    });
    assert!(rest.unwrap().to_bytes().is_empty());
    let report = drain.join().unwrap();
    assert_eq!((report.failed, report.force_closed), (0, 0), "{report}");
}

/// What opens a gate, and the future that waits for that. Handlers have clones of it.
fn gate() -> (oneshot::Sender<()>, Shared<oneshot::Receiver<()>>) {
    let (sender, receiver) = oneshot::channel();
    (sender, receiver.shared())
}

/// The body of the answer to a request over HTTP/2.
async fn request(address: std::net::SocketAddr) -> Incoming {
    let stream = heist::net::TcpStream::connect(address).await.unwrap();
    let connected = hyper::client::conn::http2::handshake(HyperExecutor, stream).await;
    let (mut sender, connection) = connected.unwrap();
    drop(heist::spawn(connection));
    let request = hyper::Request::get(format!("http://{address}/"));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    sender.send_request(request).await.unwrap().into_body()
}

#[test]
fn quiet_event_stream_sends_comments() {
    let events = async || -> Sse<_> {
        let events = stream::pending::<Item>();
        Sse::new(KeepAliveStream::new(events).interval(Duration::from_millis(1)))
    };
    let site = Site::axum(Limits::default(), Router::new().route("/", get(events)));
    let mut reader = subscribe(&site);
    for _ in 0..3 {
        assert_eq!(chunk(&mut reader), ": \n\n");
    }
}

#[test]
fn comments_come_in_pauses_alone() {
    let (third, gate) = gate();
    let events = async || -> Sse<_> {
        let word = |word| Item::Ok(Event::default().data(word));
        let events = stream::iter([word("one"), word("two")]).chain(stream::once(async move {
            gate.await.unwrap();
            word("three")
        }));
        let quiet = Event::default().comment("quiet");
        let events = KeepAliveStream::new(events).event(quiet);
        Sse::new(events.interval(Duration::from_millis(1)))
    };
    let site = Site::axum(Limits::default(), Router::new().route("/", get(events)));
    let mut reader = subscribe(&site);
    assert_eq!(chunk(&mut reader), "data: one\n\n");
    assert_eq!(chunk(&mut reader), "data: two\n\n");
    assert_eq!(chunk(&mut reader), ": quiet\n\n");
    third.send(()).unwrap();
    let next = (0..).map(|_| chunk(&mut reader)).find(|chunk| chunk != ": quiet\n\n");
    assert_eq!(next.unwrap(), "data: three\n\n");
    assert_eq!(chunk(&mut reader), "");
}

async fn kept_alive_by_axum() -> Sse<impl Stream<Item = Item>> {
    let keep_alive = KeepAlive::new().interval(Duration::from_millis(1));
    Sse::new(stream::pending()).keep_alive(keep_alive)
}

/// axum's own keep-alive uses the timers of tokio.
#[test]
fn keep_alive_of_axum_works_beside_tokio() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let router = Router::new().route("/", get(kept_alive_by_axum));
    let site = Site::beside_tokio(&tokio, builder(Limits::default()).axum(router));
    let mut reader = subscribe(&site);
    assert_eq!(chunk(&mut reader), ":\n\n");
}

/// Failure: a limit that is made for uploads, idle connections or slow readers cuts a stream that is quiet.
#[test]
fn quiet_event_stream_outlasts_each_limit() {
    let (late, gate) = gate();
    let events = async || -> Sse<_> {
        Sse::new(stream::once(async {
            gate.await.unwrap();
            Item::Ok(Event::default().data("late"))
        }))
    };
    // The answer to a PING takes no time by this clock, and some in truth.
    let http2 = Http2Limits { ping_timeout: Duration::MAX, ..Http2Limits::default() };
    let router = Router::new().route("/", get(events));
    let builder = builder(Limits { http2, ..Limits::default() }).axum(router).prior_knowledge(true);
    let (site, clock) = Site::with_manual_clock(builder);
    let mut reader = subscribe(&site);
    let body = site.runtime.block_on(request(site.address()));
    for _ in 0..10 {
        site.pass(&clock, Duration::from_secs(61));
    }
    late.send(()).unwrap();
    assert_eq!(chunk(&mut reader), "data: late\n\n");
    let rest = site.runtime.block_on(body.collect());
    assert_eq!(rest.unwrap().to_bytes(), "data: late\n\n");
}
