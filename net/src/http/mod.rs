//! hyper services on a server (feature `hyper`).
//!
//! # The way of a request
//!
//! 1. The server accepts a connection and calls [`Http`], which returns its future: hyper on the
//!    connection's transport (`guarded_io`), and around both the deadlines and the drain (`connection`).
//! 2. A guard in the transport reads the head, and the framing of the body, before hyper does, and
//!    refuses what is malformed, ambiguous or too long. Time for the head is counted from its first
//!    byte, or from the accept; between requests a connection may idle longer.
//! 3. While the server is overloaded, the request is answered `503`. Otherwise the
//!    service is called, with a [`Body`] that is bounded in length and in time. In the request's
//!    extensions it finds the [`Peer`](crate::server::Peer) and a signal of the drain, [`DrainSignal`].
//!    Behind TLS it also finds what the handshake has agreed on, as an `Arc` of `tls::TlsInfo`.
//! 4. The answer goes out through the transport. It bounds how long a peer may take none of it, or
//!    little, and charges bytes that wait to the server's budget.
//! 5. After the last answer of a connection, what the peer still sends is read and dropped for a
//!    while: to close at once would destroy the answer on its way.
//!
//! # What ends a connection
//!
//! All bounds are in [`Limits`](crate::server::Limits), and on unless changed.
//!
//! | what the peer does | what it gets |
//! |---|---|
//! | sends a target that is too long | `414` |
//! | sends a head too long, or of too many fields; or such a trailer section | `431` |
//! | sends something malformed | `400` |
//! | sends a body in another transfer coding than `chunked`, or `CONNECT` | `501` |
//! | speaks another version than 1.x | `505` |
//! | sends no whole head in time, or nothing for too long between requests | the close |
//! | announces or sends a body that is too long | `413` |
//! | sends the body with a long pause, or slowly | `408` |
//! | reads nothing for a while, or slowly | the close |
//! | closes its sending side behind a whole request | the whole answer, then the close |
//! | closes its sending side in a head, or in a body | the close, or `400` |
//! | resets the connection | the close; the service's future is dropped |
//!
//! Requests that came before a refused one are answered first. The refusal says `connection:
//! close` and why, in a line of plain text. `docs/http-conformance.md` lists what is answered to
//! some hundreds of inputs, by which section of the RFCs, and what nginx and node answer.
//!
//! Strict where leniency has been used for attacks: a request has one valid `Host` field (HTTP/1.0
//! may have none), and one length. One with `Content-Length` and `Transfer-Encoding`, or with two
//! lengths, is malformed, and so is a line of a chunk or a trailer section that ends in LF alone.
//! Lenient where it has not: a line of a head may end in LF alone, empty lines may stand before a
//! request, and a minor version above 1 is read as 1. A line of HTTP/0.9, which has no version, is
//! malformed; a version that is written out and not 1.x is answered `505`. `CONNECT` asks for a
//! tunnel, of which no resource here is the end, so `501` and not `405`. The asterisk form of a target
//! comes with `OPTIONS` alone, and gets to the service, as the path `*`.
//!
//! The rest of a body that hyper has begun to read can no longer be refused in place of the
//! service: `400`, `413`, `408` and `431` are what the peer gets if the service fails when reading
//! the [`Body`] fails, so pass its errors on. Any other error of a service is logged and answered
//! `500`. A panic of it ends its connection and no other.
//!
//! # What ends a service's future
//!
//! It is dropped when the connection is reset, when an answer cannot be written or is not taken in
//! time, and at the end of a drain's grace. That the peer has finished sending does not end it: such a
//! peer waits for its answer (RFC 9112 9.6). A peer that is gone without a reset is noticed when the
//! answer is written. While a request's body is not read to its end, or more requests have come, a
//! reset is noticed when that is read.
//!
//! With HTTP/2 it is dropped when its stream or the connection is reset, or the connection is closed, and
//! where a PING is not answered. The body of an answer is dropped as the future is.
//!
//! Work that has to be finished all the same belongs in a task: one that is
//! [spawned](heist_scheduler::spawn) goes on, also without its handle.
//!
//! # `100 Continue`
//!
//! A peer that waits to be asked for its body is asked when the service first reads it. It is also
//! asked before a successful answer begins while the service still has the [`Body`], as in an echo.
//! Otherwise it is not asked, and that answer is the connection's last, since the body may come or not.
//!
//! # Upgrades
//!
//! A request of HTTP/1.1 with `Upgrade`, and with `upgrade` in `Connection`, may be answered `101`.
//! Behind that answer the connection is the service's, in whatever task it awaits
//! [`hyper::upgrade::on`], also in another runtime; nothing of what the peer sent behind the request is
//! lost. Until the service drops it the connection has its permit, its socket is metered, and it ends
//! with the drain's grace. [`Limits::upgraded_idle_timeout`](crate::server::Limits::upgraded_idle_timeout), `write_timeout`, `min_send_rate` and the
//! budget of buffered bytes hold for it. The extensions of the request have a [`UpgradedConnection`],
//! and the [`DrainSignal`] goes on to work. Bytes behind a request that asks for an upgrade are looked
//! at only once it is answered: if it is refused, they are the next request.
//!
//! A `101` that was not asked for, or that comes before the request's body is read, is logged and
//! replaced by `501`.
//!
//! # When the server drains
//!
//! A request that is being served is finished, and its answer says `connection: close`. A
//! connection that has been idle for [`Limits::drain_linger`](crate::server::Limits::drain_linger) is
//! closed at once. One that was used less long ago may send one more request until then, since the
//! client may have sent it before it could know; that answer, too, says `connection: close`.
//!
//! # HTTP/2
//!
//! A connection is served with HTTP/2 where a layer such as TLS has agreed on that (`h2` in ALPN), and
//! without TLS for a client that begins with it, if [`Http::prior_knowledge`] allows that. Each stream is
//! a request as above, with these differences:
//!
//! - Refusals are answers: `414`, `431`, `413`, `400` and `501` end their stream, and the connection goes
//!   on. One that comes before the end of the request is followed by RST_STREAM with NO_ERROR (RFC 9113,
//!   8.1). curl 7.88 takes that for a failure and shows no answer, as it does with nginx. A request needs `:authority` or `Host`, and where it has both, they are the same. A panic of a
//!   service ends its stream and no other.
//! - A peer that sends too many frames of a kind is cut off; see [`Http2Limits`](crate::server::Http2Limits).
//! - A peer that takes nothing of an answer, or takes it slowly, gets a reset of that stream; if it takes
//!   nothing of any, the close.
//! - All streams of a connection run in its task. A service that computes for long holds up the others of
//!   its connection: it should [spawn](heist_scheduler::spawn) a task for that.
//! - A peer that closes its sending side is gone.
//! - Fields with the pairs of one cookie are one field when the service sees them.
//! - A drain sends a GOAWAY. Streams that were opened before the client could know are served.
//! - `100 Continue` is not sent: a client that waits for it sends its body after a while.
//! - The upgrade from HTTP/1.1 (`h2c`) is not supported; RFC 9113 has it no more.
//!
//! # Not here
//!
//! The upgrade of a request of HTTP/2 to another protocol (RFC 8441).
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use heist::{Runtime, http};
//! use heist::server::{Listener, Server};
//! use http_body_util::Full;
//! use hyper::body::Bytes;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//!
//! async fn hello(_: Request<http::Body>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::new(Bytes::from_static(b"hello\n"))))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = Listener::tcp("127.0.0.1:0".parse()?)?;
//! let runtime = Runtime::new()?;
//! let server =
//!     Server::builder().listen(listener).http(service_fn(hello)).start_on(runtime.handle())?;
//! runtime.block_on(server.drain(Duration::from_secs(30)));
//! # Ok(())
//! # }
//! ```

mod age;
mod body;
mod chosen_account;
mod connection;
mod connection_future;
mod dormant;
mod drain_signal;
mod drain_waiters;
mod exchange;
mod expectation;
mod failure;
mod guard;
mod guarded_io;
mod http2;
mod hyper_builder;
mod hyper_io;
pub(crate) mod hyper_rt;
mod metrics;
mod phase;
mod reason;
mod selection;
mod service;
mod shared_io;
mod shared_transport;
mod state;
mod stream_account;
mod upgrade_state;
mod upgraded;
mod versions;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response, StatusCode};

pub use body::{Body, BodyError};
pub use drain_signal::DrainSignal;
pub use upgraded::UpgradedConnection;

use crate::Transport;
use crate::server::{
    Accepted, Builder, CloseReason, HttpMetrics, Refusal, Serve, Shared, TransportLayer,
};
use http2::Parts;
use hyper_builder::{BUFFER_BYTES, bounded};
use metrics::{RefusedHook, RequestMetrics};
use selection::Detection;
use state::HttpState;
use versions::Versions;

/// Serves HTTP/1.1 and HTTP/2 by a hyper service.
///
/// The service is cloned for each connection, and called for one request of it after the other; with
/// HTTP/2, for several at once.
/// It is unmodified but for its request's body, which is a [`Body`]: those that are generic over
/// the body work as they are. One that insists on [`Incoming`](hyper::body::Incoming) can be
/// given it, without the bounds of a [`Body`] but the server's `max_body`:
///
/// ```
/// # use http_body_util::Empty;
/// # use hyper::body::{Bytes, Incoming};
/// # use hyper::{Request, Response};
/// # use std::convert::Infallible;
/// # async fn theirs(_: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
/// #     Ok(Response::new(Empty::new()))
/// # }
/// use heist::http::{Body, Http};
/// use hyper::service::service_fn;
///
/// let ours = service_fn(|request: Request<Body>| theirs(request.map(Body::into_incoming)));
/// # drop(Http::new(ours));
/// ```
///
/// What waits to be written is charged to the server's budget as long as the peer does not take
/// it. A response body that is given in one piece is charged as a whole, so give large ones in
/// several.
pub struct Http<S> {
    service: S,
    refused: Option<RefusedHook>,
    prior_knowledge: bool,
    started: Option<Started>,
}

/// What exists once the server has started.
struct Started {
    hyper: http1::Builder,
    metrics: Arc<RequestMetrics>,
}

impl<S> Http<S> {
    /// A service for [`Builder::serve`]; [`Builder::http`] makes one and passes it on.
    pub fn new(service: S) -> Http<S> {
        Http { service, refused: None, prior_knowledge: false, started: None }
    }

    /// Calls `hook` with the status of each request that is answered in place of the service: one
    /// that is malformed, too long, or shed. The service does not see those.
    ///
    /// It is called in a poll of the connection's task, once the answer is decided, and must not
    /// block. A panic in it ends that connection alone.
    #[must_use = "the server is consumed"]
    pub fn on_refused(mut self, hook: impl Fn(StatusCode) + Send + Sync + 'static) -> Http<S> {
        self.refused = Some(RefusedHook::new(hook));
        self
    }

    /// Sets whether HTTP/2 is also served without TLS, to clients that begin with it (RFC 9113, 3.3). By
    /// default it is not: without TLS a connection is one of HTTP/1.1.
    ///
    /// Where a layer such as TLS has agreed on a protocol with the client, that is served in any case.
    #[must_use = "the server is consumed"]
    pub fn prior_knowledge(mut self, allowed: bool) -> Http<S> {
        self.prior_knowledge = allowed;
        self
    }

    fn started(&self) -> &Started {
        self.started.as_ref().expect("a server calls `start` before it accepts a connection")
    }
}

impl<S, B, T> Serve<T> for Http<S>
where
    T: Transport,
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn serve(
        &self,
        accepted: Accepted<T>,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<S, B, T> {
        let Accepted { stream, peer, drain, server, accepted_at, .. } = accepted;
        let Started { hyper, metrics } = self.started();
        let state = HttpState::new(server, peer, accepted_at, Arc::clone(metrics));
        state.set_transport(&stream);
        let versions = Versions { service: self.service.clone(), http1: hyper.clone() };
        let is_http2 = stream.alpn() == Some(b"h2");
        if stream.alpn().is_none() && self.prior_knowledge {
            return versions.detect(Detection::new(stream, state, drain));
        }
        let parts = Parts { transport: stream, front: Vec::new(), state, drain };
        match is_http2 {
            true => versions.http2(parts),
            false => versions.http1(parts),
        }
    }

    fn start(&mut self, server: &Arc<Shared>) {
        let metrics = Arc::new(RequestMetrics::new(server.runtime(), self.refused.take()));
        self.started = Some(Started { hyper: bounded(server.limits(), BUFFER_BYTES), metrics });
    }

    fn refusal(&self, reason: Refusal) -> Option<&'static [u8]> {
        match reason {
            // A peer that opens too many connections may not read a response.
            Refusal::PerAddress => None,
            _ => Some(UNAVAILABLE),
        }
    }

    fn alpn(&self) -> &'static [&'static [u8]] {
        &[b"h2", b"http/1.1"]
    }

    fn reports_activity(&self) -> bool {
        true
    }

    fn http_metrics(&self) -> Option<HttpMetrics> {
        self.started.as_ref().map(|started| started.metrics.snapshot())
    }
}

impl<S> fmt::Debug for Http<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("started", &self.started.is_some()).finish_non_exhaustive()
    }
}

impl<H, L: TransportLayer> Builder<H, L> {
    /// Serves HTTP/1.1 and HTTP/2 by `service` on each connection; see [`Http`].
    pub fn http<S>(self, service: S) -> Builder<Http<S>, L>
    where
        Http<S>: Serve<L::Transport>,
    {
        self.serve(Http::new(service))
    }
}

impl<S, L: TransportLayer> Builder<Http<S>, L> {
    /// Sets [`Http::prior_knowledge`].
    pub fn prior_knowledge(self, allowed: bool) -> Builder<Http<S>, L> {
        self.map_service(|http| http.prior_knowledge(allowed))
    }

    /// Sets [`Http::on_refused`].
    pub fn on_refused(
        self,
        hook: impl Fn(StatusCode) + Send + Sync + 'static,
    ) -> Builder<Http<S>, L> {
        self.map_service(|http| http.on_refused(hook))
    }
}

/// The answer to a connection that cannot be served now.
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n";
