//! What is recorded of connections and requests: around the HTTP server, and around its service.
//!
//! ```text
//! Watched   one connection: it is counted, and its end is known
//!   Http      hyper, and what the server refuses by itself
//!     Recorded  one request: from the call of the service to the end of the answer's body
//!       routes
//! ```
//!
//! A request whose answer ends in order is recorded then. One that breaks off is kept in its
//! [`Connection`] until that has ended, which is at once, and which says why.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Buf;
use heist::http::{Body, BodyError};
use heist::server::{Accepted, CloseKind, CloseReason, HttpMetrics, Peer, Refusal, Serve, Shared};
use hyper::body::{Frame, SizeHint};
use hyper::header::HeaderValue;
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;

use crate::access::{Entry, Head, Lines, REQUEST_ID, well_formed_id};
use crate::failures::Failures;
use crate::memory::{Crowd, Present};

/// Where records go.
#[derive(Clone)]
pub(crate) struct Recorder {
    /// `None` without an access log.
    pub(crate) lines: Option<Lines>,
    pub(crate) failures: Arc<Failures>,
}

/// Serves by `H`, and watches its connections.
pub(crate) struct Watched<H> {
    http: H,
    recorder: Recorder,
    crowd: Arc<Crowd>,
}

impl<H> Watched<H> {
    /// Watches what `http` serves, whose service is [`Recorded`].
    pub(crate) fn new(http: H, recorder: &Recorder, crowd: Arc<Crowd>) -> Watched<H> {
        Watched { http, recorder: recorder.clone(), crowd }
    }
}

impl<H: Serve> Serve for Watched<H> {
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<H> {
        let present = self.crowd.enter();
        let connection = Connection::new(&self.recorder, Some(accepted.peer.clone()));
        let served = within(&connection, || self.http.serve(accepted));
        Watching { served, end: End { connection, kind: None }, _present: present }
    }

    fn start(&mut self, server: &Arc<Shared>) {
        self.http.start(server);
    }

    fn refusal(&self, reason: Refusal) -> Option<&'static [u8]> {
        self.http.refusal(reason)
    }

    fn http_metrics(&self) -> Option<HttpMetrics> {
        self.http.http_metrics()
    }
}

pin_project! {
    /// The future that serves one connection. No `async` block: that would have room for what it
    /// captures and for where it pins it.
    ///
    /// The fields go in their order: what serves, then the look at what it left, and when its memory
    /// is free the connection counts as gone.
    struct Watching<F> {
        #[pin]
        served: F,
        end: End,
        _present: Present,
    }
}

impl<F: Future<Output = CloseReason>> Future for Watching<F> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.project();
        let reason = ready!(within(&this.end.connection, || this.served.poll(cx)));
        this.end.kind = Some(reason.kind());
        Poll::Ready(reason)
    }
}

/// Tells the connection that it has ended, by a drop if nothing else says so.
struct End {
    connection: Arc<Connection>,
    kind: Option<CloseKind>,
}

impl Drop for End {
    fn drop(&mut self) {
        let unknown = if thread::panicking() { CloseKind::Panicked } else { CloseKind::Cancelled };
        self.connection.ended(self.kind.unwrap_or(unknown));
    }
}

/// What the requests of one connection share.
struct Connection {
    recorder: Recorder,
    /// `None` if nothing will tell how it ends.
    peer: Option<Peer>,
    /// Holding this = the right to change it. Only the connection's task does, but for a body that is
    /// dropped elsewhere.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A request that broke off, until it is known why.
    broken: Option<Box<Entry>>,
    /// The last request failed, and the log has it.
    failed: bool,
}

impl Connection {
    fn new(recorder: &Recorder, peer: Option<Peer>) -> Arc<Connection> {
        Arc::new(Connection { recorder: recorder.clone(), peer, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is over, in order or not.
    fn record(&self, entry: Box<Entry>, in_order: bool) {
        let failed = !in_order || entry.status.is_none_or(|status| status >= 400);
        let known = in_order || self.peer.is_none();
        {
            let mut state = self.state();
            state.failed = failed;
            if !known {
                state.broken = Some(entry);
                return;
            }
        }
        self.write(&entry, failed);
    }

    fn write(&self, entry: &Entry, failed: bool) {
        if let Some(lines) = &self.recorder.lines {
            lines.write(entry);
        }
        if failed {
            self.recorder.failures.request(entry);
        }
    }

    /// The server answers a request with `status` in place of the service.
    fn refused(&self, status: StatusCode) {
        let Some(peer) = self.peer.clone() else { return };
        self.state().failed = true;
        let (status, took) = (Some(status.as_u16()), Duration::ZERO);
        self.write(&Entry { peer, head: None, status, bytes: 0, took, outcome: REFUSED }, true);
    }

    /// The connection is over.
    fn ended(&self, kind: CloseKind) {
        let state = std::mem::take(&mut *self.state());
        if let Some(mut broken) = state.broken {
            broken.outcome = kind.label();
            return self.write(&broken, true);
        }
        let Some(peer) = &self.peer else { return };
        if !state.failed && is_failure(kind) {
            self.recorder.failures.connection(peer, kind.label());
        }
    }
}

/// Whether a connection that ends like this, outside of a request, is worth a line. One that idles,
/// or that its peer resets when nothing is under way, is not.
fn is_failure(kind: CloseKind) -> bool {
    matches!(
        kind,
        CloseKind::HeaderTimeout
            | CloseKind::BodyTimeout
            | CloseKind::WriteTimeout
            | CloseKind::TooSlow
            | CloseKind::Memory
            | CloseKind::Protocol
            | CloseKind::Panicked
    )
}

thread_local! {
    /// The connection whose task is polled on this thread. What [`Watched`] calls inside it, and
    /// knows nothing of it, finds it here: the clone of the service that is made for the connection,
    /// and the server when it refuses a request.
    static CURRENT: Cell<Option<Arc<Connection>>> = const { Cell::new(None) };
}

/// Calls `inner` with `connection` as the current one, also if it panics.
fn within<T>(connection: &Arc<Connection>, inner: impl FnOnce() -> T) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.take();
        }
    }
    CURRENT.set(Some(Arc::clone(connection)));
    let _leave = Leave;
    inner()
}

fn current() -> Option<Arc<Connection>> {
    let current = CURRENT.take();
    CURRENT.set(current.clone());
    current
}

/// Records a request that the server answers in place of the service: the hook of
/// [`Http::on_refused`](heist::http::Http::on_refused).
pub(crate) fn refused(status: StatusCode) {
    if let Some(connection) = current() {
        connection.refused(status);
    }
}

/// A service whose requests are recorded. Each connection has a clone.
pub(crate) struct Recorded<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S> Recorded<S> {
    pub(crate) fn new(service: S, recorder: &Recorder) -> Recorded<S> {
        Recorded { service, connection: Connection::new(recorder, None) }
    }
}

impl<S: Clone> Clone for Recorded<S> {
    fn clone(&self) -> Recorded<S> {
        let connection =
            current().unwrap_or_else(|| Connection::new(&self.connection.recorder, None));
        Recorded { service: self.service.clone(), connection }
    }
}

impl<S, B> Service<Request<Body>> for Recorded<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BodyError>,
    B: hyper::body::Body,
{
    type Response = Response<RecordedBody<B>>;
    type Error = BodyError;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Body>) -> Answering<S::Future> {
        let exchange = Some(Exchange::begin(&self.connection, &request));
        Answering { future: self.service.call(request), exchange }
    }
}

/// One request that is being answered. Dropping it records it.
struct Exchange {
    connection: Arc<Connection>,
    began: Instant,
    /// `None` once recorded. In a box: hyper keeps room for an answer and a body in each connection,
    /// which most of the time has neither.
    entry: Option<Box<Entry>>,
    /// The answer has come to its end, or there will be none for a reason that is known.
    in_order: bool,
}

impl Exchange {
    fn begin(connection: &Arc<Connection>, request: &Request<Body>) -> Exchange {
        let began = Instant::now();
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let head = Head::new(method, uri, request.version());
        let head = match &connection.recorder.lines {
            Some(_) => head.with_headers(headers),
            // A name that no other program knows would help no reader.
            None => Head { request_id: well_formed_id(headers), ..head },
        };
        let entry = Some(Box::new(Entry {
            peer: request.body().peer().clone(),
            head: Some(head),
            status: None,
            bytes: 0,
            took: began.elapsed(),
            outcome: COMPLETE,
        }));
        Exchange { connection: Arc::clone(connection), began, entry, in_order: false }
    }

    fn entry(&mut self) -> &mut Entry {
        self.entry.as_mut().expect("only the drop takes it")
    }

    fn is_head(&self) -> bool {
        let head = self.entry.as_ref().and_then(|entry| entry.head.as_ref());
        head.is_some_and(|head| head.method == Method::HEAD)
    }

    /// The name of the request for its answer, if there is an access log to look it up in.
    fn id_for_the_answer(&self) -> Option<HeaderValue> {
        self.connection.recorder.lines.as_ref()?;
        let id = self.entry.as_ref()?.request_id()?;
        HeaderValue::from_str(id).ok()
    }

    /// The server answers in place of the service, which could not read the body.
    fn refused(&mut self, error: &BodyError) {
        let (status, outcome) = match error {
            BodyError::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_long"),
            BodyError::Stalled { .. } => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            BodyError::TooSlow { .. } => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
            _ => (StatusCode::BAD_REQUEST, "body_broken"),
        };
        self.in_order = true;
        let entry = self.entry();
        (entry.status, entry.outcome) = (Some(status.as_u16()), outcome);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        if let Some(mut entry) = self.entry.take() {
            entry.took = took;
            if !self.in_order {
                entry.outcome = BROKEN;
            }
            self.connection.record(entry, self.in_order);
        }
    }
}

pin_project! {
    /// The answer to one request.
    pub(crate) struct Answering<F> {
        #[pin]
        future: F,
        // `None` once answered.
        exchange: Option<Exchange>,
    }
}

impl<F, B> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, BodyError>>,
    B: hyper::body::Body,
{
    type Output = Result<Response<RecordedBody<B>>, BodyError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.future.poll(cx));
        let mut exchange = this.exchange.take().expect("a future is not polled after it is ready");
        Poll::Ready(match answer {
            Err(error) => {
                exchange.refused(&error);
                Err(error)
            }
            Ok(mut response) => {
                exchange.entry().status = Some(response.status().as_u16());
                if let Some(id) = exchange.id_for_the_answer() {
                    response.headers_mut().insert(REQUEST_ID, id);
                }
                Ok(response.map(|body| RecordedBody::new(body, exchange)))
            }
        })
    }
}

pin_project! {
    /// The body of an answer, whose bytes and end are recorded.
    pub(crate) struct RecordedBody<B> {
        #[pin]
        body: B,
        exchange: Exchange,
    }
}

impl<B: hyper::body::Body> RecordedBody<B> {
    fn new(body: B, mut exchange: Exchange) -> RecordedBody<B> {
        // The answer to HEAD has none, whatever the service gave it.
        exchange.in_order = body.is_end_stream() || exchange.is_head();
        RecordedBody { body, exchange }
    }
}

impl<B: hyper::body::Body> hyper::body::Body for RecordedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        match &frame {
            None => this.exchange.in_order = true,
            Some(Err(_)) => {}
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Buf::remaining);
                this.exchange.entry().bytes += length as u64;
                this.exchange.in_order |= this.body.is_end_stream();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer has gone to the connection as a whole.
const COMPLETE: &str = "complete";

/// It has not, and nothing tells why.
const BROKEN: &str = "broken";

/// The server has answered in place of the service.
const REFUSED: &str = "refused";
