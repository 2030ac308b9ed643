//! An exchange of a request for a response, and the response's body, whose end is its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use heist_scheduler::time::Instant;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::state::HttpState;

/// One request that is being served. Dropping it ends it.
pub(super) struct Exchange {
    state: Arc<HttpState>,
    began: Instant,
    /// The status of the answer, once that is known.
    status: Option<StatusCode>,
}

impl Exchange {
    /// Begins. `receiving`: the request has a body. `expects`: the peer may wait to be asked for it.
    #[inline]
    pub(super) fn begin(state: &Arc<HttpState>, receiving: bool, expects: bool) -> Exchange {
        state.metrics().begin();
        let began = state.begin_request(receiving, expects);
        Exchange { state: Arc::clone(state), began, status: None }
    }

    #[inline]
    pub(super) fn state(&self) -> &HttpState {
        &self.state
    }

    #[inline]
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Exchange {
    #[inline]
    fn drop(&mut self) {
        let metrics = self.state.metrics();
        // By the poll's own time, a service that never waits would take no time. Not `Instant::now`: the
        // connection may be dropped where there is no runtime any more.
        let now = self.state.server().runtime().clock().now();
        match self.status {
            Some(status) => metrics.end(status, now - self.began),
            None => metrics.abandon(),
        }
        self.state.end_request(now);
    }
}

pin_project! {
    /// The body of a response: the service's, or none. Its end is the end of the exchange.
    pub(super) struct ResponseBody<B> {
        #[pin]
        body: Option<B>,
        _exchange: Exchange,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(body: Option<B>, exchange: Exchange) -> ResponseBody<B> {
        ResponseBody { body, _exchange: exchange }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
