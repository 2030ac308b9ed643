//! What becomes of a handler whose client goes away.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use futures::channel::oneshot;
use heist::net::HyperExecutor;
use heist::server::{CloseKind, Limits};
use heist_ecosystem::site::{GUARD, Site};
use http_body_util::Empty;
use hyper::body::Bytes;

/// What happens to a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Began,
    Dropped,
    Finished,
}

/// Tells of its drop.
struct Watch(SyncSender<Seen>);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.send(Seen::Dropped);
    }
}

/// A site whose handler waits until it is told to go on.
struct Waiting {
    site: Site,
    seen: Receiver<Seen>,
    go_on: Mutex<Option<oneshot::Sender<()>>>,
}

impl Waiting {
    /// The handler at `/` waits itself. The one at `/spawned` waits for a task that waits.
    fn new() -> Waiting {
        let (sender, seen) = sync_channel(8);
        let (go_on, told) = oneshot::channel::<()>();
        let told = Arc::new(Mutex::new(Some(told)));
        let wait = move || {
            let (sender, told) = (sender.clone(), told.lock().unwrap().take().unwrap());
            async move {
                let watch = Watch(sender.clone());
                sender.send(Seen::Began).unwrap();
                let _ = told.await;
                sender.send(Seen::Finished).unwrap();
                drop(watch);
                "done"
            }
        };
        let spawned = wait.clone();
        let router = Router::new()
            .route("/", get(wait))
            .route("/spawned", get(move || async move { heist::spawn(spawned()).await.unwrap() }))
            .route("/short", get(async || "short"));
        let site = Site::axum(Limits::default(), router);
        Waiting { site, seen, go_on: Mutex::new(Some(go_on)) }
    }

    fn see(&self, expected: Seen) {
        assert_eq!(self.seen.recv_timeout(GUARD), Ok(expected));
    }

    /// Has the handler go on.
    fn go_on(&self) {
        self.go_on.lock().unwrap().take().unwrap().send(()).unwrap();
    }

    /// A request to `target` over HTTP/1.1, whose connection is reset when the handler has begun.
    fn request_and_reset(&self, target: &str) {
        let mut stream = self.site.connect();
        // The answer to the first is not read: a close with unread bytes is a reset.
        let short = "GET /short HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(short.as_bytes()).unwrap();
        stream.peek(&mut [0]).unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        self.see(Seen::Began);
        drop(stream);
    }
}

#[test]
fn reset_of_http1_drops_the_handler() {
    let waiting = Waiting::new();
    waiting.request_and_reset("/");
    waiting.see(Seen::Dropped);
    waiting.site.await_closed(CloseKind::Lost);
}

/// Failure: work that must not be cut short ends with the connection.
#[test]
fn spawned_work_outlives_a_reset() {
    let waiting = Waiting::new();
    waiting.request_and_reset("/spawned");
    waiting.site.await_closed(CloseKind::Lost);
    waiting.go_on();
    waiting.see(Seen::Finished);
}

/// Failure: a client that has finished sending gets no answer, though it waits for one.
#[test]
fn end_of_the_requests_of_http1_does_not_drop_the_handler() {
    let waiting = Waiting::new();
    let mut stream = waiting.site.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    waiting.see(Seen::Began);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(waiting.seen.try_recv().ok(), None);
    waiting.go_on();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    waiting.see(Seen::Finished);
}

#[test]
fn reset_of_a_stream_of_http2_drops_its_handler_alone() {
    let waiting = Waiting::new();
    let address = waiting.site.address();
    waiting.site.runtime.block_on(async {
        let stream = heist::net::TcpStream::connect(address).await.unwrap();
        let connected = hyper::client::conn::http2::handshake(HyperExecutor, stream).await;
        let (mut sender, connection) = connected.unwrap();
        drop(heist::spawn(connection));
        let get = |target: &str| {
            let request = hyper::Request::get(format!("http://{address}{target}"));
            request.body(Empty::<Bytes>::new()).unwrap()
        };
        let pending = heist::spawn(sender.send_request(get("/")));
        waiting.see(Seen::Began);
        pending.abort();
        assert!(pending.await.unwrap_err().is_cancelled());
        waiting.see(Seen::Dropped);
        assert_eq!(sender.send_request(get("/short")).await.unwrap().status(), 200);
    });
}

#[test]
fn end_of_a_connection_of_http2_drops_the_handlers() {
    let waiting = Waiting::new();
    let mut stream = waiting.site.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    // GET / of http://a, with END_STREAM and END_HEADERS.
    let head = [0x82, 0x86, 0x84, 0x41, 1, b'a'];
    stream.write_all(&[0, 0, 6, 1, 5, 0, 0, 0, 1]).unwrap();
    stream.write_all(&head).unwrap();
    waiting.see(Seen::Began);
    drop(stream);
    waiting.see(Seen::Dropped);
}
