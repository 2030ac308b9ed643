//! axum's `ws` on a server of heist: the socket is served by a task of tokio, and every limit holds.

use std::future::{Future, poll_fn};
use std::io::Read;
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use heist::Runtime;
use heist::http::DrainSignal;
use heist::server::{Address, CloseKind, Limits, Listener, Server};
use heist_ecosystem::Entered;
use hyper_util::service::TowerToHyperService;
use tungstenite::Message as Sent;

type Client = tungstenite::WebSocket<TcpStream>;

struct Site {
    server: Arc<Server>,
    runtime: Runtime,
    _tokio: tokio::runtime::Runtime,
}

impl Site {
    fn new(limits: Limits) -> Site {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let router = Router::new().route("/", get(upgrade));
        let service = Entered::new(TowerToHyperService::new(router), tokio.handle().clone());
        let runtime = Runtime::new().unwrap();
        let server = Server::builder()
            .listen(Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap())
            .limits(limits)
            .http(service)
            .start_on(runtime.handle())
            .unwrap();
        Site { server: Arc::new(server), runtime, _tokio: tokio }
    }

    fn connect(&self) -> Client {
        let Address::Tcp(address) = self.server.addresses()[0].clone() else {
            panic!("it listens on TCP");
        };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        tungstenite::client(format!("ws://{address}/"), stream).unwrap().0
    }

    /// A drain with this grace, in the background.
    fn drain(&self, grace: Duration) -> thread::JoinHandle<()> {
        let (server, runtime) = (Arc::clone(&self.server), self.runtime.handle().clone());
        thread::spawn(move || {
            runtime.block_on(server.drain(grace));
        })
    }

    fn await_closed(&self, kind: CloseKind) {
        while self.server.metrics().closed_by(kind) == 0 {
            thread::yield_now();
        }
        let http = self.server.metrics().http.unwrap();
        assert_eq!((http.upgrades, http.upgraded_connections), (1, 0));
    }
}

async fn upgrade(upgrade: WebSocketUpgrade, Extension(drain): Extension<DrainSignal>) -> Response {
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
    let site = Site::new(Limits::default());
    let mut client = site.connect();
    for length in [0, 1, 70_000, 1024 * 1024] {
        client.send(Sent::from(vec![7; length])).unwrap();
        assert_eq!(client.read().unwrap(), Sent::from(vec![7; length]));
    }
    assert_eq!(site.server.metrics().connections_idle, 1);
    client.close(None).unwrap();
    while client.read().is_ok() {}
    site.await_closed(CloseKind::Finished);
}

#[test]
fn drain_reaches_the_task_and_waits_for_it() {
    let site = Site::new(Limits::default());
    let mut client = site.connect();
    client.send(Sent::from("hello")).unwrap();
    client.read().unwrap();
    let drain = site.drain(GUARD);
    let Sent::Close(Some(close)) = client.read().unwrap() else { panic!("no Close") };
    assert_eq!(u16::from(close.code), 1001);
    assert!(!drain.is_finished());
    while client.read().is_ok() {}
    drain.join().unwrap();
    site.await_closed(CloseKind::Drained);
}

#[test]
fn forced_close_ends_a_socket_whose_peer_does_not_answer() {
    let site = Site::new(Limits::default());
    let mut client = site.connect();
    client.send(Sent::from("hello")).unwrap();
    client.read().unwrap();
    site.drain(Duration::ZERO).join().unwrap();
    site.await_closed(CloseKind::Cancelled);
    while client.read().is_ok() {}
}

#[test]
fn quiet_socket_is_closed_at_the_idle_limit_of_upgrades() {
    let limits = Limits { upgraded_idle_timeout: Duration::from_millis(50), ..Limits::default() };
    let site = Site::new(limits);
    let mut client = site.connect();
    assert!(client.read().is_err());
    site.await_closed(CloseKind::IdleTimeout);
}

/// Failure: a connection whose socket a task of tokio has no longer counts.
#[test]
fn socket_counts_towards_the_bound_on_connections() {
    let site = Site::new(Limits { per_address: 1, limit_loopback: true, ..Limits::default() });
    let client = site.connect();
    let Address::Tcp(address) = site.server.addresses()[0].clone() else { unreachable!() };
    let refused = TcpStream::connect(address).unwrap();
    refused.set_read_timeout(Some(GUARD)).unwrap();
    assert_eq!((&refused).read(&mut [0]).unwrap_or(0), 0);
    drop(client);
    site.await_closed(CloseKind::Finished);
    drop(site.connect());
}

const GUARD: Duration = Duration::from_secs(60);
