//! The body of an answer, whose bytes are accounted for until the peer has taken them.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::HeaderMap;
use hyper::body::{Body, Buf, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::super::exchange::ResponseBody;
use super::super::state::HttpState;

pin_project! {
    /// The body of an answer. Its end is told when hyper holds no more of it than [`TAIL`]: until then the
    /// stream can be reset.
    pub(in crate::http) struct AccountedBody<B> {
        #[pin]
        body: ResponseBody<B>,
        // Of the stream.
        state: Arc<HttpState>,
        // hyper was given more than a tail.
        long: bool,
        // The end that is still to be told: trailers, or none.
        end: Option<Option<HeaderMap>>,
    }
}

impl<B> AccountedBody<B> {
    pub(super) fn new(body: ResponseBody<B>, state: Arc<HttpState>) -> AccountedBody<B> {
        AccountedBody { body, state, long: false, end: None }
    }
}

impl<B: Body> Body for AccountedBody<B> {
    type Data = AccountedData<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<AccountedData<B::Data>>, B::Error>>> {
        let this = self.project();
        if this.end.is_none() {
            let frame = match ready!(this.body.poll_frame(cx)) {
                None => None,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    Some(frame.map_data(|data| AccountedData::new(data, this.state)))
                }
            };
            match frame.map(Frame::into_trailers) {
                None => *this.end = Some(None),
                Some(Ok(trailers)) => *this.end = Some(Some(trailers)),
                Some(Err(frame)) => {
                    *this.long |= frame.data_ref().is_some_and(|data| data.left > TAIL);
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
        }
        if let Some(account) = this.state.account() {
            ready!(account.poll_taken(TAIL, cx));
        }
        let trailers = this.end.take().flatten();
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        !self.long && self.end.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A part of an answer that hyper holds.
pub(in crate::http) struct AccountedData<D> {
    data: D,
    left: usize,
    state: Arc<HttpState>,
}

impl<D: Buf> AccountedData<D> {
    fn new(data: D, state: &Arc<HttpState>) -> AccountedData<D> {
        let left = data.remaining();
        if let Some(account) = state.account() {
            account.hand_over(left, state.now());
        }
        AccountedData { data, left, state: Arc::clone(state) }
    }
}

impl<D: Buf> Buf for AccountedData<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        self.left -= count;
        if let Some(account) = self.state.account() {
            account.take(count, self.state.now(), self.state.limits());
        }
    }
}

impl<D> Drop for AccountedData<D> {
    fn drop(&mut self) {
        if self.left > 0
            && let Some(account) = self.state.account()
        {
            account.give_up(self.left);
        }
    }
}

/// Bytes of an answer that hyper may hold without a future that could be dropped to reset the stream: the
/// length of a frame.
const TAIL: usize = 16 * 1024;
