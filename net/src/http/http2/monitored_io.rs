//! The transport as hyper's HTTP/2 sees it: behind the monitor of frames, with limits for a peer that
//! takes nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_scheduler::coop;
use heist_scheduler::time::Instant;
use hyper::rt::{Read, ReadBufCursor, Write};
use parking_lot::Mutex;

use super::super::failure::Failure;
use super::super::state::HttpState;
use super::monitor::{FrameMonitor, Violation};
use crate::Transport;
use crate::connection::charge::Charge;
use crate::connection::close_reason::CloseKind;
use crate::connection::rate_monitor::{MinRate, RateMonitor};

/// The transport of one connection, with what is known of its frames.
pub(super) struct MonitoredIo<T> {
    pub(super) transport: T,
    pub(super) monitor: FrameMonitor,
    /// Bytes that came before hyper, and that it has not taken yet.
    front: Vec<u8>,
    /// How fast the peer takes what waits.
    rate: RateMonitor,
    /// What the transport itself buffers.
    charge: Charge,
    violation: Option<Violation>,
    state: Arc<HttpState>,
}

impl<T: Transport> MonitoredIo<T> {
    /// `front` came already.
    pub(super) fn new(transport: T, front: Vec<u8>, state: Arc<HttpState>) -> MonitoredIo<T> {
        MonitoredIo {
            transport,
            monitor: FrameMonitor::new(),
            front,
            rate: RateMonitor::default(),
            charge: Charge::default(),
            violation: None,
            state,
        }
    }

    /// Why the peer is cut off, if it is.
    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Looks at bytes that came.
    fn receive(&mut self, bytes: &[u8]) -> io::Result<()> {
        let state = &self.state;
        let checked = self.monitor.received(bytes, state.limits(), state.now());
        checked.map_err(|violation| self.cut_off(violation))
    }

    fn cut_off(&mut self, violation: Violation) -> io::Error {
        self.violation = Some(violation);
        let close =
            if violation.is_malformed() { CloseKind::Protocol } else { CloseKind::Http2Flood };
        self.state.set_failure(Failure::of_connection(close));
        io::Error::new(io::ErrorKind::InvalidData, violation)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(violation) = self.violation {
            return Poll::Ready(Err(self.cut_off(violation)));
        }
        if self.monitor.ends_turn() {
            // The connection has hyper polled in the next turn.
            return Poll::Pending;
        }
        if !self.front.is_empty() {
            let count = self.front.len().min(cursor.remaining());
            let rest = self.front.split_off(count);
            let front = std::mem::replace(&mut self.front, rest);
            self.receive(&front)?;
            cursor.put_slice(&front);
            return Poll::Ready(Ok(()));
        }
        let MonitoredIo { transport, monitor, state, .. } = self;
        let mut checked = Ok(());
        let look = |read: &mut [u8]| {
            checked = monitor.received(read, state.limits(), state.now());
            if checked.is_ok() { read.len() } else { 0 }
        };
        let read = transport.poll_read_kept(cx, &mut cursor, look);
        if read.is_pending() && state.take_peek_request() {
            let unread = transport.has_unread();
            state.set_unread(unread);
        }
        let (count, _) = ready!(read)?;
        coop::charge_bytes(count);
        Poll::Ready(checked.map_err(|violation| self.cut_off(violation)))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let unsent = self.transport.unsent();
        match self.transport.poll_write_vectored(cx, buffers) {
            Poll::Ready(Ok(count)) => {
                self.look_at_sent(buffers, count)?;
                self.after_send(unsent + count)?;
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.on_blocked(),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let unsent = self.transport.unsent();
        let flushed = self.transport.poll_flush(cx);
        self.after_send(unsent)?;
        match flushed {
            Poll::Pending => self.on_blocked(),
            flushed => flushed,
        }
    }

    /// Writes bytes that are not hyper's. Behind them comes nothing of hyper.
    pub(super) fn poll_write_own(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut Vec<u8>,
    ) -> Poll<io::Result<()>> {
        while !bytes.is_empty() {
            let count = ready!(self.transport.poll_write(cx, bytes))?;
            bytes.drain(..count);
        }
        self.transport.poll_flush(cx)
    }

    /// Looks at the first `count` bytes of `buffers`, which are on their way.
    fn look_at_sent(&mut self, buffers: &[IoSlice<'_>], count: usize) -> io::Result<()> {
        let limits = self.state.limits();
        let now = self.state.now();
        let mut left = count;
        let mut checked = Ok(());
        for buffer in buffers {
            let taken = left.min(buffer.len());
            left -= taken;
            checked = checked.and(self.monitor.sent(&buffer[..taken], &limits.http2, now));
        }
        checked.map_err(|violation| self.cut_off(violation))
    }

    /// Of `bytes` that waited in the transport, as many were sent as do not wait there now.
    fn after_send(&mut self, bytes: usize) -> io::Result<()> {
        match bytes.saturating_sub(self.transport.unsent()) {
            0 => self.charge(),
            sent => self.on_taken(sent),
        }
    }

    /// The peer took `count` bytes.
    fn on_taken(&mut self, count: usize) -> io::Result<()> {
        self.rate.count(count);
        if !self.rate.is_waiting() {
            return Ok(());
        }
        self.rate.end_wait(Instant::of_poll());
        self.state.set_blocked(None);
        self.charge()?;
        let limits = self.state.limits();
        let least = MinRate { rate: limits.min_send_rate, grace: limits.rate_grace };
        match self.rate.is_below(least) {
            true => Err(self.fail(CloseKind::TooSlow, "the peer takes its answers too slowly")),
            false => Ok(()),
        }
    }

    /// The peer takes nothing, unless the poll's budget is spent, which says nothing of the peer.
    fn on_blocked<R>(&mut self) -> Poll<io::Result<R>> {
        if !coop::has_budget_remaining() {
            return Poll::Pending;
        }
        let now = Instant::of_poll();
        if self.rate.begin_wait(now) {
            self.state.set_blocked(Some(now));
        }
        match self.charge() {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Makes the server's budget hold what the transport buffers.
    fn charge(&mut self) -> io::Result<()> {
        let memory = self.transport.memory() + self.front.capacity();
        let charged = self.charge.set(self.state.server().buffered(), memory);
        charged.map_err(|_| self.fail(CloseKind::Memory, "the server buffers too much already"))
    }

    fn fail(&self, close: CloseKind, message: &'static str) -> io::Error {
        self.state.set_failure(Failure::of_connection(close));
        io::Error::other(message)
    }
}

impl<T> Drop for MonitoredIo<T> {
    fn drop(&mut self) {
        self.charge.release(self.state.server().buffered());
        self.state.drain_waiters().close();
    }
}

/// The transport in the hands of hyper. The connection's task alone locks it, and never twice.
pub(super) struct SharedIo<T>(Arc<Mutex<MonitoredIo<T>>>);

impl<T> SharedIo<T> {
    pub(super) fn new(transport: Arc<Mutex<MonitoredIo<T>>>) -> SharedIo<T> {
        SharedIo(transport)
    }
}

impl<T: Transport> Read for SharedIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.lock().poll_read(cx, cursor)
    }
}

impl<T: Transport> Write for SharedIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_flush(cx)
    }

    /// hyper has finished. The connection shuts the transport down behind it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_flush(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, buffers)
    }
}
