//! Which version of HTTP a connection is served with, where its first bytes say so.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_scheduler::time::Instant;
use hyper::rt::ReadBuf;

use super::http2::{PREFACE, Parts};
use super::state::HttpState;
use crate::Transport;
use crate::connection::close_reason::{CloseKind, CloseReason};
use crate::connection::deadlines::DeadlineTimer;
use crate::connection::drain_signal::DrainSignal;

/// A connection whose version is not known before its first bytes: a client of HTTP/2 without TLS begins
/// with a preface that is no request of HTTP/1 (RFC 9113, 3.3).
pub(super) struct Detection<T> {
    transport: T,
    state: Arc<HttpState>,
    drain: DrainSignal,
    /// What came.
    front: Vec<u8>,
    timer: DeadlineTimer,
    draining: bool,
}

/// The versions that are served differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

impl<T: Transport> Detection<T> {
    pub(super) fn new(transport: T, state: Arc<HttpState>, drain: DrainSignal) -> Detection<T> {
        let (front, timer) = (Vec::new(), DeadlineTimer::new());
        Detection { transport, state, drain, front, timer, draining: false }
    }

    /// Ready when enough came to tell the version, or when the connection has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Version, CloseReason>> {
        let now = Instant::of_poll();
        self.state.begin_poll(now);
        if !self.draining && self.drain.poll_draining(cx).is_ready() {
            self.draining = true;
            self.state.close_after_answer();
        }
        loop {
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Version::Http1)),
                Poll::Ready(Ok(_)) => self.state.received(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return self.poll_deadline(cx, now).map(Err),
            }
            let length = self.front.len().min(PREFACE.len());
            if self.front[..length] != PREFACE[..length] {
                return Poll::Ready(Ok(Version::Http1));
            }
            if length == PREFACE.len() {
                return Poll::Ready(Ok(Version::Http2));
            }
        }
    }

    /// What a version begins with.
    pub(super) fn into_parts(self) -> Parts<T> {
        let Detection { transport, front, state, drain, .. } = self;
        Parts { transport, front, state, drain }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut memory = [MaybeUninit::uninit(); READ_SIZE];
        let mut buffer = ReadBuf::uninit(&mut memory);
        let read = self.transport.poll_read_kept(cx, &mut buffer.unfilled(), |read| read.len());
        match ready!(read) {
            // A version reads on, and finds out itself.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
            Err(error) => Poll::Ready(Err(error)),
            Ok((count, _)) => {
                self.front.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(count))
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<CloseReason> {
        let (deadline, kind) = self.state.deadline();
        if now >= deadline && !self.transport.has_unread() {
            return Poll::Ready(match kind {
                Some(CloseKind::IdleDrained) => CloseReason::IdleDrained,
                _ => CloseReason::HeaderTimeout,
            });
        }
        if !self.timer.covers(deadline, now, cx) && self.timer.arm(deadline, now, cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Bytes of a read. They are few, or the connection is one of HTTP/1, which takes them over.
const READ_SIZE: usize = 8 * 1024;
