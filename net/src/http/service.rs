//! The service as hyper calls it: requests are refused here, or bounded and passed on.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderValue, RETRY_AFTER, UPGRADE};
use hyper::http::Extensions;
use hyper::service::Service;
use hyper::{Request, Response, StatusCode, Version};
use pin_project_lite::pin_project;

use super::body::Body;
use super::drain_signal::DrainSignal;
use super::exchange::{Exchange, ResponseBody};
use super::state::HttpState;
use super::upgraded::UpgradedConnection;

/// The service of one connection, with the limits of its server in force.
pub(super) struct LimitedService<S> {
    service: S,
    state: Arc<HttpState>,
}

impl<S> LimitedService<S> {
    pub(super) fn new(service: S, state: Arc<HttpState>) -> LimitedService<S> {
        LimitedService { service, state }
    }
}

/// Whether the peer may wait for `100 Continue` before it sends the body. hyper decides so, too.
fn expects_continue(request: &Request<Incoming>) -> bool {
    let last = request.headers().get_all(EXPECT).iter().next_back();
    let expects = last.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    expects && request.version() > Version::HTTP_10
}

impl<S, B> Service<Request<Incoming>> for LimitedService<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn call(&self, request: Request<Incoming>) -> ResponseFuture<S::Future> {
        let mut request = request;
        // hyper marks a request that may be one of an upgrade, also one that does not say so in
        // `Connection`. Others have no extension yet.
        let is_marked = !request.extensions().is_empty();
        let asks_upgrade = is_marked && asks_upgrade(&request);
        if is_marked && !asks_upgrade {
            drop(hyper::upgrade::on(&mut request));
        }
        let state = &self.state;
        // In case that the request before it came in the same poll.
        state.restore_account();
        let exchange = begin(state, &request);
        if let Some(status) = shed(state) {
            return ResponseFuture::refused(status, exchange, &request);
        }
        let mut request = request.map(|body| Body::new(body, Arc::clone(state)));
        extend(state, request.extensions_mut());
        if asks_upgrade {
            state.upgrade().ask();
            request.extensions_mut().insert(UpgradedConnection::new(Arc::clone(state)));
        }
        ResponseFuture::of(self.service.call(request), exchange)
    }
}

/// Begins the exchange of a request. `state` is that of its stream if the connection has several.
#[inline]
pub(super) fn begin(state: &Arc<HttpState>, request: &Request<Incoming>) -> Exchange {
    let receiving = !request.body().is_end_stream();
    let expects = receiving && expects_continue(request);
    Exchange::begin(state, receiving, expects)
}

/// Adds to a request what the service may want to know of its connection, whose state `connection` is.
#[inline]
pub(super) fn extend(connection: &Arc<HttpState>, extensions: &mut Extensions) {
    connection.extend(extensions);
    extensions.insert(DrainSignal::new(Arc::clone(connection)));
}

/// The status to refuse a request with while the server is overloaded. In the connection's task, on the account of
/// the connection.
#[inline]
pub(super) fn shed(state: &HttpState) -> Option<StatusCode> {
    let server = state.server();
    server.sheds(heist_scheduler::account).map(|account| {
        server.count_shed(account);
        StatusCode::SERVICE_UNAVAILABLE
    })
}

/// Whether a request asks for another protocol behind its answer: RFC 9110 7.8.
fn asks_upgrade<B>(request: &Request<B>) -> bool {
    let named = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    };
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && headers.contains_key(UPGRADE)
        && headers.get_all(CONNECTION).iter().any(named)
}

pin_project! {
    /// The answer to one request.
    pub(super) struct ResponseFuture<F> {
        #[pin]
        work: Work<F>,
        // `None` once answered.
        exchange: Option<Exchange>,
    }
}

pin_project! {
    #[project = WorkProjection]
    enum Work<F> {
        Refused { status: StatusCode },
        Service { #[pin] future: F },
    }
}

impl<F> ResponseFuture<F> {
    /// The answer of a service.
    #[inline]
    pub(super) fn of(future: F, exchange: Exchange) -> ResponseFuture<F> {
        ResponseFuture { work: Work::Service { future }, exchange: Some(exchange) }
    }

    /// The answer to `request` in place of the service.
    pub(super) fn refused(
        status: StatusCode,
        exchange: Exchange,
        request: &Request<Incoming>,
    ) -> ResponseFuture<F> {
        if !request.body().is_end_stream() {
            exchange.state().leave_unread();
        }
        ResponseFuture::failed(status, exchange)
    }

    /// The answer in place of a service that had the request.
    pub(super) fn failed(status: StatusCode, exchange: Exchange) -> ResponseFuture<F> {
        ResponseFuture { work: Work::Refused { status }, exchange: Some(exchange) }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = match this.work.project() {
            WorkProjection::Refused { status } => {
                let exchange = this.exchange.as_ref().expect(ANSWERED_ONCE);
                exchange.state().metrics().call_refused_hook(*status);
                Err(*status)
            }
            WorkProjection::Service { future } => ready!(future.poll(cx)).map_err(|error| {
                let exchange = this.exchange.as_ref().expect(ANSWERED_ONCE);
                status_of_failure(exchange.state(), error.into().as_ref())
            }),
        };
        let exchange = this.exchange.take().expect(ANSWERED_ONCE);
        Poll::Ready(Ok(answer(outcome, exchange)))
    }
}

/// The answer to a request whose service failed. If reading the body failed, that is the peer's doing.
fn status_of_failure(state: &HttpState, error: &(dyn Error + 'static)) -> StatusCode {
    let peer = state.peer();
    match state.failure().status {
        Some(status) => {
            tracing::debug!(error, %peer, %status, "a request's body was not received");
            status
        }
        None => {
            tracing::error!(error, %peer, "a service failed");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The service's answer, or one without a body.
fn answer<B>(
    outcome: Result<Response<B>, StatusCode>,
    mut exchange: Exchange,
) -> Response<ResponseBody<B>> {
    let outcome = outcome.and_then(|response| {
        match is_switch(&response) && !exchange.state().grant_upgrade() {
            true => Err(switched(exchange.state())),
            false => Ok(response),
        }
    });
    let upgraded = matches!(&outcome, Ok(response) if is_switch(response));
    let closing = !upgraded && is_last(exchange.state(), &outcome);
    exchange.answered(outcome.as_ref().map_or_else(|status| *status, Response::status));
    let mut response = match outcome {
        Ok(response) => response.map(|body| ResponseBody::new(Some(body), exchange)),
        Err(status) => refused(status).map(|()| ResponseBody::new(None, exchange)),
    };
    if closing {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn is_switch<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// The protocol cannot change: without this hyper would take the connection for another protocol's.
fn switched(state: &HttpState) -> StatusCode {
    let peer = state.peer();
    tracing::error!(%peer, "a service answered 101 to a request that asked for no upgrade, or before \
        it had read the body: answered 501 instead");
    StatusCode::NOT_IMPLEMENTED
}

/// Whether the connection ends with this answer: the server drains, the connection is old, or the peer was not asked for
/// the body that it announced. Then the next bytes may be that body or a request.
fn is_last<B>(state: &HttpState, outcome: &Result<Response<B>, StatusCode>) -> bool {
    let is_success = outcome.as_ref().is_ok_and(|response| response.status().is_success());
    state.is_closing() || state.is_aged() || state.leaves_body_unasked(is_success)
}

/// The answer in place of a service. Overload does not end the connection: a new one would cost both
/// sides more than the next request on this one.
fn refused(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        StatusCode::INTERNAL_SERVER_ERROR => {}
        _ => {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}

const ANSWERED_ONCE: &str = "a future is not polled after it is ready";
