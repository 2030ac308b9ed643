//! axum's `ws` on a server of heist: the socket is served by a task of tokio, and every limit holds.

use std::future::{Future, poll_fn};
use std::io::Read;
use std::net::TcpStream;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use heist::http::DrainSignal;
use heist::server::{CloseKind, Limits};
use heist_axum::{BuilderExt as _, Drain};
use heist_ecosystem::site::{GUARD, Site, builder};
use tungstenite::Message as Sent;

type Client = tungstenite::WebSocket<TcpStream>;

struct WebSockets {
    site: Site,
    _tokio: tokio::runtime::Runtime,
}

impl WebSockets {
    fn new(limits: Limits) -> WebSockets {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let router = Router::new().route("/", get(upgrade));
        let site = Site::beside_tokio(&tokio, builder(limits).axum(router));
        WebSockets { site, _tokio: tokio }
    }

    fn connect(&self) -> Client {
        let stream = self.site.connect();
        stream.set_nodelay(true).unwrap();
        tungstenite::client(format!("ws://{}/", self.site.address()), stream).unwrap().0
    }

    fn await_closed(&self, kind: CloseKind) {
        self.site.await_closed(kind);
        let http = self.site.server.metrics().http.unwrap();
        assert_eq!((http.upgrades, http.upgraded_connections), (1, 0));
    }
}

async fn upgrade(upgrade: WebSocketUpgrade, Drain(drain): Drain) -> Response {
    upgrade.on_upgrade(|socket| echo(socket, drain))
}

async fn echo(mut socket: WebSocket, mut drain: DrainSignal) {
    assert!(tokio::runtime::Handle::try_current().is_ok());
    loop {
        let message = poll_fn(|cx| {
            if drain.poll_draining(cx).is_ready() {
                return Poll::Ready(None);
            }
            let received = pin!(socket.recv());
            received.poll(cx).map(|message| message.and_then(Result::ok))
        });
        match message.await {
            Some(message @ (Message::Text(_) | Message::Binary(_))) => {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            Some(_) => {}
            None if drain.is_draining() => {
                let away = CloseFrame { code: 1001, reason: "the server drains".into() };
                let _ = socket.send(Message::Close(Some(away))).await;
                while let Some(Ok(_)) = socket.recv().await {}
                return;
            }
            None => return,
        }
    }
}

#[test]
fn messages_come_back_from_a_task_of_tokio() {
    let sockets = WebSockets::new(Limits::default());
    let mut client = sockets.connect();
    for length in [0, 1, 70_000, 1024 * 1024] {
        client.send(Sent::from(vec![7; length])).unwrap();
        assert_eq!(client.read().unwrap(), Sent::from(vec![7; length]));
    }
    assert_eq!(sockets.site.server.metrics().connections_idle, 1);
    client.close(None).unwrap();
    while client.read().is_ok() {}
    sockets.await_closed(CloseKind::Finished);
}

#[test]
fn drain_reaches_the_task_and_waits_for_it() {
    let sockets = WebSockets::new(Limits::default());
    let mut client = sockets.connect();
    client.send(Sent::from("hello")).unwrap();
    client.read().unwrap();
    let drain = sockets.site.drain(GUARD);
    let Sent::Close(Some(close)) = client.read().unwrap() else { panic!("no Close") };
    assert_eq!(u16::from(close.code), 1001);
    assert!(!drain.is_finished());
    while client.read().is_ok() {}
    drain.join().unwrap();
    sockets.await_closed(CloseKind::Drained);
}

#[test]
fn forced_close_ends_a_socket_whose_peer_does_not_answer() {
    let sockets = WebSockets::new(Limits::default());
    let mut client = sockets.connect();
    client.send(Sent::from("hello")).unwrap();
    client.read().unwrap();
    sockets.site.drain(Duration::ZERO).join().unwrap();
    sockets.await_closed(CloseKind::Cancelled);
    while client.read().is_ok() {}
}

#[test]
fn quiet_socket_is_closed_at_the_idle_limit_of_upgrades() {
    let limits = Limits { upgraded_idle_timeout: Duration::from_millis(50), ..Limits::default() };
    let sockets = WebSockets::new(limits);
    let mut client = sockets.connect();
    assert!(client.read().is_err());
    sockets.await_closed(CloseKind::IdleTimeout);
}

/// Failure: a connection whose socket a task of tokio has no longer counts.
#[test]
fn socket_counts_towards_the_bound_on_connections() {
    let sockets =
        WebSockets::new(Limits { per_address: 1, limit_loopback: true, ..Limits::default() });
    let client = sockets.connect();
    let refused = sockets.site.connect();
    assert_eq!((&refused).read(&mut [0]).unwrap_or(0), 0);
    drop(client);
    sockets.await_closed(CloseKind::Finished);
    drop(sockets.connect());
}
