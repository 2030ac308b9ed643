//! Servers for the tests.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use heist::http::Body;
use heist::net::TcpSocket;
use heist::server::{Address, Limits, Listener, Server};
use heist::time::{sleep, timeout};
use heist::tls::{Certificate, ClientConfig, Config, Source};
use heist::{Builder, Runtime};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;

use heist_hyper_util::Connector;

/// A client of requests without a body.
pub(crate) type Requests = Client<Connector, Empty<Bytes>>;

/// A server, and the runtime of both sides.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) runtime: Runtime,
    gate: async_channel::Sender<()>,
}

/// What a server is like.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) tls: Option<Config>,
}

impl Site {
    pub(crate) fn plain() -> Site {
        Site::new(Options::default())
    }

    /// A server behind TLS, and the client's part of it.
    pub(crate) fn tls() -> (Site, ClientConfig) {
        let (config, client) = certified();
        (Site::new(Options { tls: Some(config) }), client)
    }

    pub(crate) fn new(options: Options) -> Site {
        let runtime = Builder::new().workers(2).start().unwrap();
        let (gate, closed) = async_channel::bounded::<()>(1);
        let service = service_fn(move |request| answer(request, closed.clone()));
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        // However slow the machine is.
        let limits = Limits { handshake_timeout: GUARD, ..Limits::default() };
        let builder = Server::builder().listen(listener).limits(limits).overloaded_by(|_| false);
        let server = match options.tls {
            None => builder.http(service).start_on(runtime.handle()),
            Some(config) => builder.tls(config).http(service).start_on(runtime.handle()),
        };
        Site { server: server.unwrap(), runtime, gate }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let Address::Tcp(address) = self.server.addresses()[0].clone() else {
            panic!("it listens on TCP");
        };
        address
    }

    pub(crate) fn uri(&self, scheme: &str, path: &str) -> Uri {
        format!("{scheme}://localhost:{}{path}", self.address().port()).parse().unwrap()
    }

    /// Answers the requests of `/wait`, from now on.
    pub(crate) fn open_gate(&self) {
        self.gate.close();
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.server.metrics().accepted
    }

    /// How many connections the server has.
    pub(crate) fn connections(&self) -> u64 {
        let metrics = self.server.metrics();
        metrics.connections_active + metrics.connections_idle
    }

    /// How many requests are being served.
    pub(crate) fn in_flight(&self) -> u64 {
        self.server.metrics().http.unwrap().in_flight
    }

    /// Runs `future`, and fails instead of hanging.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(GUARD, future).await.expect("the test hangs") })
    }
}

async fn answer(
    request: Request<Body>,
    gate: async_channel::Receiver<()>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = match request.uri().path() {
        "/wait" => {
            // Until the gate is closed.
            let _ = gate.recv().await;
            Response::builder()
        }
        "/last" => Response::builder().header("connection", "close"),
        _ => Response::builder(),
    };
    Ok(response.body(Full::new(Bytes::from_static(b"hello"))).unwrap())
}

/// A server's configuration with a certificate for localhost, and that of a client that trusts it.
pub(crate) fn certified() -> (Config, ClientConfig) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().to_vec();
    let server = Certificate::der(vec![certificate.clone()], key.serialize_der());
    let server = Config::builder().certificate(server).build().unwrap();
    let roots = Source::Der([certificate].into());
    (server, ClientConfig::builder().roots(roots).build().unwrap())
}

/// A port at which every connection is refused: it is bound and not listened at, so that no other socket
/// gets it.
pub(crate) struct Refusing(TcpSocket);

impl Refusing {
    pub(crate) fn new() -> Refusing {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Refusing(socket)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

/// Waits until `condition` holds, which other tasks make true.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The text of `error` and of all its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

pub(crate) const GUARD: Duration = Duration::from_secs(120);
