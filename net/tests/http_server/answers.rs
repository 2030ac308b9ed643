//! Bodies of answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};

use crate::site::Gate;

/// Never ends.
pub(crate) struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024])))))
    }
}

/// Some bytes, and the rest when the test asks for it.
pub(crate) struct InTwo {
    sent: bool,
    rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl InTwo {
    pub(crate) fn new(gate: Gate) -> InTwo {
        InTwo { sent: false, rest: Some(Box::pin(async move { gate.pass().await })) }
    }
}

impl Body for InTwo {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !std::mem::replace(&mut self.sent, true) {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"one ")))));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        std::task::ready!(rest.as_mut().poll(cx));
        self.rest = None;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"two")))))
    }
}
