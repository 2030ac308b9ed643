//! The service as hyper calls it for a stream of HTTP/2.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use heist_scheduler::panics;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;

use super::super::body::Body;
use super::super::chosen_account::ChosenAccount;
use super::super::service::{self, ResponseFuture};
use super::super::state::HttpState;
use super::super::stream_account::{StreamAccount, StreamAccounts};
use super::body::AccountedBody;
use super::stream_set::StreamExecutor;
use crate::server::Limits;

/// The service of one connection, with the limits of its server in force for each stream.
pub(in crate::http) struct StreamService<S> {
    service: S,
    connection: Arc<HttpState>,
    accounts: Arc<StreamAccounts>,
    executor: StreamExecutor,
}

impl<S> StreamService<S> {
    pub(in crate::http) fn new(
        service: S,
        connection: Arc<HttpState>,
        accounts: Arc<StreamAccounts>,
        executor: StreamExecutor,
    ) -> StreamService<S> {
        StreamService { service, connection, accounts, executor }
    }
}

impl<S, B> Service<Request<Incoming>> for StreamService<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: hyper::body::Body,
{
    type Response = Response<AccountedBody<B>>;
    type Error = Infallible;
    type Future = StreamResponse<S::Future>;

    fn call(&self, request: Request<Incoming>) -> StreamResponse<S::Future> {
        let receives = !request.body().is_end_stream();
        let account = StreamAccount::open(&self.accounts, receives);
        let state = HttpState::of_stream(&self.connection, account);
        self.connection.metrics().begin_stream();
        let refusal = refusal(&request, self.connection.limits());
        let exchange = service::begin(&state, &request);
        let mut chosen = ChosenAccount::default();
        let response = match refusal.or_else(|| service::shed(&state)) {
            Some(status) => ResponseFuture::refused(status, exchange, &request),
            None => {
                let mut request = request.map(|body| Body::new(body, Arc::clone(&state)));
                join_cookies(request.headers_mut());
                service::extend(&self.connection, request.extensions_mut());
                // A panic in it ends this stream alone.
                match chosen.run(|| panics::contain_hook(CALL, || self.service.call(request))) {
                    Some(future) => ResponseFuture::of(future, exchange),
                    None => ResponseFuture::failed(StatusCode::INTERNAL_SERVER_ERROR, exchange),
                }
            }
        };
        self.executor.called(&state, chosen);
        StreamResponse { response, state }
    }
}

pin_project! {
    /// The answer on one stream.
    pub(in crate::http) struct StreamResponse<F> {
        #[pin]
        response: ResponseFuture<F>,
        state: Arc<HttpState>,
    }
}

impl<F, B, E> Future for StreamResponse<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Response<AccountedBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let state = this.state;
        let account = |body| AccountedBody::new(body, Arc::clone(state));
        this.response.poll(cx).map_ok(|response| response.map(account))
    }
}

/// The status with which a request is refused that passes a bound. hyper has read its head: it bounds the
/// length of that, and refuses what is malformed.
fn refusal(request: &Request<Incoming>, limits: &Limits) -> Option<StatusCode> {
    let headers = request.headers();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    // A client may send each pair of a cookie in a field of its own (RFC 9113, 8.2.3).
    let cookies = headers.get_all(COOKIE).iter().count();
    if *request.method() == Method::CONNECT {
        Some(StatusCode::NOT_IMPLEMENTED)
    } else if target > limits.target_bytes {
        Some(StatusCode::URI_TOO_LONG)
    } else if headers.len() - cookies.saturating_sub(1) > limits.headers {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else if !has_one_host(request) {
        Some(StatusCode::BAD_REQUEST)
    } else if announced(request).is_some_and(|length| length > limits.max_body) {
        Some(StatusCode::PAYLOAD_TOO_LARGE)
    } else {
        None
    }
}

/// Makes one field of those that the pairs of a cookie came in, as services expect (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    if cookies.nth(1).is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// Whether the request says once to which host it goes: by `:authority`, by `Host`, or by both alike.
fn has_one_host(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return false;
    }
    match (request.uri().authority(), host) {
        (None, None) => false,
        (Some(authority), Some(host)) => {
            host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
        }
        _ => true,
    }
}

/// The length of the body, as far as it is announced.
fn announced(request: &Request<Incoming>) -> Option<u64> {
    let value = request.headers().get(CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// The name of the code whose panic is contained.
const CALL: &str = "the call of a service for a stream of HTTP/2";
