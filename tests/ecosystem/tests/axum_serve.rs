//! axum's routers on a server of heist: what handlers find, what bounds them, and tower's layers around them.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Extension, Path, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use futures::task::AtomicWaker;
use heist::http::DrainSignal;
use heist::server::{Limits, Listener, Peer, Server};
use heist_axum::{BuilderExt as _, Drain, Tls};
use heist_ecosystem::site::{Directory, GUARD, SelfSigned, Site, builder, exchange};
use tower::{ServiceBuilder, ServiceExt as _};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

#[test]
fn handlers_find_the_address_of_the_peer() {
    let router = Router::new().route("/", get(address)).route("/peer", get(peer));
    let site = Site::start(builder(Limits::default()).axum(router));
    for target in ["/", "/peer"] {
        let stream = site.connect();
        let own = stream.local_addr().unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = exchange(stream, &request);
        assert!(answer.ends_with(&format!("\r\n\r\n{own}")), "{answer}");
    }
}

async fn address(ConnectInfo(address): ConnectInfo<SocketAddr>) -> String {
    address.to_string()
}

async fn peer(Extension(peer): Extension<Peer>) -> String {
    peer.to_string()
}

/// Failure: a handler that asks for an address is given a made-up one.
#[test]
fn unix_peer_has_no_address() {
    let directory = Directory::new("axum-unix");
    let path = directory.path().join("socket");
    let router = Router::new().route("/", get(address)).route("/peer", get(peer));
    let listener = Listener::unix(&path).unwrap();
    let builder = Server::builder().listen(listener).overloaded_by(|_| false);
    let _site = Site::start(builder.axum(router));
    let get = |target: &str| {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        exchange(stream, &format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"))
    };
    let answer = get("/");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("ConnectInfo<core::net::socket_addr::SocketAddr>"), "{answer}");
    assert!(get("/peer").ends_with("\r\n\r\nunix"));
}

#[test]
fn handlers_find_what_tls_has_agreed_on() {
    let own = SelfSigned::new();
    let router = Router::new()
        .route("/", get(async |Tls(tls): Tls| tls.version.label()))
        .route("/maybe", get(async |tls: Option<Tls>| tls.is_some().to_string()));
    let plain = Site::start(builder(Limits::default()).axum(router.clone()));
    let refused = plain.get("/ HTTP/1.1");
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert!(plain.get("/maybe HTTP/1.1").ends_with("false"));

    let site = Site::start(builder(Limits::default()).tls(own.config()).axum(router));
    let mut roots = rustls::RootCertStore::empty();
    let certificate = rustls::pki_types::pem::PemObject::from_pem_slice(own.certificate.as_bytes());
    roots.add(certificate.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = rustls::StreamOwned::new(session, site.connect());
    let answer = exchange(stream, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\n1.3"), "{answer}");
}

#[test]
fn handlers_find_the_drain() {
    let both = async |Drain(drain): Drain, Extension(other): Extension<DrainSignal>| {
        (drain.is_draining() || other.is_draining()).to_string()
    };
    let router = Router::new().route("/", get(both));
    let site = Site::start(builder(Limits::default()).axum(router));
    assert!(site.get("/ HTTP/1.1").ends_with("false"));
    site.drain(GUARD).join().unwrap();
}

#[test]
fn drain_is_optional_without_a_server() {
    let router: Router = Router::new()
        .route("/", get(async |_: Drain| ""))
        .route("/maybe", get(async |drain: Option<Drain>| drain.is_some().to_string()));
    let status = |target: &str| {
        let request = Request::get(target).body(Body::empty()).unwrap();
        futures::executor::block_on(router.clone().oneshot(request)).unwrap().status()
    };
    assert_eq!(status("/"), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(status("/maybe"), StatusCode::OK);
}

#[test]
fn routers_have_states_and_parameters() {
    let greet = async |State(greeting): State<&'static str>, Path(name): Path<String>| {
        format!("{greeting} {name}")
    };
    let router = Router::new().route("/{name}", get(greet)).with_state("hello");
    let site = Site::start(builder(Limits::default()).axum(router));
    assert!(site.get("/you HTTP/1.1").ends_with("\r\n\r\nhello you"));
}

#[test]
fn method_routers_and_other_services_are_served() {
    let site = Site::start(builder(Limits::default()).axum(get(async || "hello")));
    assert!(site.get("/any HTTP/1.1").ends_with("\r\n\r\nhello"));
    let service = tower::service_fn(async |request: Request| {
        Ok::<_, Infallible>(Response::new(request.uri().path().to_owned()))
    });
    let site = Site::start(builder(Limits::default()).axum(service));
    assert!(site.get("/any HTTP/1.1").ends_with("\r\n\r\n/any"));
}

#[test]
fn failed_service_is_answered_500() {
    let service = tower::service_fn(async |_: Request| {
        Err::<Response<String>, _>(std::io::Error::other("out of order"))
    });
    let site = Site::start(builder(Limits::default()).axum(service));
    assert!(site.get("/ HTTP/1.1").starts_with("HTTP/1.1 500 "));
}

/// Failure: axum answers 400 to an upload in chunks that is too long, as it does not know our error.
#[test]
fn bodies_that_are_too_long_are_answered_413() {
    let router = Router::new().route("/", post(async |body: Bytes| body.len().to_string()));
    let limits = Limits { max_body: 10, ..Limits::default() };
    let site = Site::start(builder(limits).axum(router));
    let post = |framing: &str| {
        let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
        exchange(site.connect(), &format!("{head}{framing}"))
    };
    assert!(post("content-length: 5\r\n\r\nhello").ends_with("\r\n\r\n5"));
    assert!(post("content-length: 0\r\n\r\n").ends_with("\r\n\r\n0"));
    assert!(post("content-length: 11\r\n\r\nhello world").starts_with("HTTP/1.1 413 "));
    let chunked = post("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    assert!(chunked.starts_with("HTTP/1.1 413 "), "{chunked}");
    // The handler is reading when it comes.
    let mut stream = site.connect();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n";
    stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let mut status = String::new();
    BufReader::new(stream.try_clone().unwrap()).read_line(&mut status).unwrap();
    assert_eq!(status, "HTTP/1.1 100 Continue\r\n");
    let answer = exchange(stream, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
fn layers_of_tower_work() {
    let id = HeaderName::from_static("x-request-id");
    let name = HeaderName::from_static("x-served-by");
    let layers = ServiceBuilder::new()
        .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]))
        .layer(SetRequestIdLayer::new(id.clone(), MakeRequestUuid))
        .layer(TraceLayer::new_for_http())
        .layer(PropagateRequestIdLayer::new(id))
        .layer(CorsLayer::permissive())
        .layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static("heist")))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::new())
        .layer(RequestBodyLimitLayer::new(1000));
    let router = Router::new()
        .route("/", get(async || "hello ".repeat(1000)))
        .route("/panic", get(async || -> &'static str { panic!("the handler's own") }))
        .route("/upload", post(async |body: Bytes| body.len().to_string()))
        .layer(layers);
    let site = Site::start(builder(Limits::default()).axum(router));
    let mut stream = site.connect();
    let head = "GET / HTTP/1.1\r\nhost: a\r\norigin: http://b\r\naccept-encoding: gzip\r\n";
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.len() < 1000, "{}", answer.len());
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    for field in ["x-request-id: ", "x-served-by: heist", "access-control-allow-origin: *"] {
        assert!(answer.contains(field), "{answer}");
    }
    assert!(answer.contains("content-encoding: gzip"), "{answer}");
    assert!(site.get("/panic HTTP/1.1").starts_with("HTTP/1.1 500 "));
    let long = "x".repeat(1001);
    let head = "POST /upload HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let answer = exchange(site.connect(), &format!("{head}content-length: 1001\r\n\r\n{long}"));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

/// A service that is ready for one request when it is told so.
#[derive(Clone, Default)]
struct Gate(Arc<Gated>);

#[derive(Default)]
struct Gated {
    waker: AtomicWaker,
    open: AtomicBool,
    polls: AtomicUsize,
}

impl tower::Service<Request> for Gate {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.waker.register(cx.waker());
        self.0.polls.fetch_add(1, SeqCst);
        match self.0.open.swap(false, SeqCst) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn call(&mut self, _: Request) -> Self::Future {
        ready(Ok(Response::new(String::from("through"))))
    }
}

/// Failure: a service is called before it is ready, which its contract forbids.
#[test]
fn service_is_called_when_it_is_ready() {
    let gate = Gate::default();
    let site = Site::start(builder(Limits::default()).axum(gate.clone()));
    let mut stream = site.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    while gate.0.polls.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    gate.0.open.store(true, SeqCst);
    gate.0.waker.wake();
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK\r\n");
}

#[test]
fn concurrency_limit_of_tower_waits() {
    let router = Router::new()
        .route("/", get(async || "hello"))
        .layer(tower::limit::ConcurrencyLimitLayer::new(1));
    let site = Site::start(builder(Limits::default()).axum(router));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(site.get("/ HTTP/1.1").ends_with("hello")));
        }
    });
}

/// tower-http's time-out uses the timers of tokio.
#[test]
fn timeout_layer_works_beside_tokio() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let layer =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_millis(1));
    let router: Router = Router::new().route("/", get(never)).layer(layer);
    let site = Site::beside_tokio(&tokio, builder(Limits::default()).axum(router));
    assert!(site.get("/ HTTP/1.1").starts_with("HTTP/1.1 504 "));
}

fn never() -> impl Future<Output = &'static str> + Send {
    std::future::pending()
}
