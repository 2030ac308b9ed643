//! The transport of a connection as hyper sees it: behind the guard, with limits for a peer that does
//! not take its answers, and with a close that does not destroy the last one ([`Linger`]).

mod bulk;
mod sending;
mod upgraded;

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_scheduler::coop;
use heist_scheduler::time::Instant;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::failure::Failure;
use super::guard::{Guard, InputEnd};
use super::state::{HttpState, Phase};
use crate::connection::charge::Charge;
use crate::connection::close_reason::CloseKind;
use crate::connection::linger::Linger;
use crate::connection::rate_monitor::RateMonitor;
use crate::{Stream, Transport};

/// The transport of one connection.
pub(super) struct GuardedIo<T: Transport> {
    transport: T,
    state: Arc<HttpState>,
    guard: Guard,
    /// How fast the peer takes the answer to request number `request`.
    rate: RateMonitor,
    request: u64,
    /// What the server's budget is charged with, for bytes that wait to be written and for what the
    /// guard and the transport hold.
    output_charge: Charge,
    held_charge: Charge,
    /// hyper's next write is the front of a message.
    at_front: bool,
    /// What is written before hyper's next bytes: a part of [`CONTINUE`].
    interim: &'static [u8],
    /// The response to a refused request. It is written when hyper has finished.
    refusal: Vec<u8>,
    linger: Option<Linger>,
    /// While lingering: whether the peer is known to be sending.
    peer_sends: bool,
}

impl<T: Transport> GuardedIo<T> {
    /// `front` came already.
    pub(super) fn new(transport: T, front: Vec<u8>, state: Arc<HttpState>) -> GuardedIo<T> {
        let mut guard = Guard::default();
        if !front.is_empty() {
            guard.hold(&front, state.limits());
        }
        GuardedIo {
            transport,
            state,
            guard,
            rate: RateMonitor::default(),
            request: 0,
            output_charge: Charge::default(),
            held_charge: Charge::default(),
            at_front: true,
            interim: &[],
            refusal: Vec::new(),
            linger: None,
            peer_sends: false,
        }
    }

    /// Closes an idle connection, which is dropped next.
    pub(super) fn close(&mut self, cx: &mut Context<'_>) {
        self.transport.close(cx);
    }

    /// Takes back what hyper read and has not used.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.guard.put_back(bytes);
    }

    pub(super) fn state(&self) -> &Arc<HttpState> {
        &self.state
    }

    /// Makes the server's budget hold what the guard and the transport hold.
    fn charge_held(&mut self) -> io::Result<()> {
        let budget = self.state.server().buffered();
        let held = self.guard.memory() + self.transport.memory();
        self.held_charge.set(budget, held).map_err(|_| self.over_budget())
    }

    fn over_budget(&self) -> io::Error {
        self.fail(CloseKind::Memory, "the server buffers too much already")
    }

    fn fail(&self, close: CloseKind, message: &'static str) -> io::Error {
        self.state.set_failure(Failure::of_connection(close));
        self.state.upgrade().exceed();
        io::Error::other(message)
    }

    /// Reads into the guard's buffer.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut memory = [MaybeUninit::uninit(); READ_SIZE];
        let mut buffer = ReadBuf::uninit(&mut memory);
        let read = self.transport.poll_read_kept(cx, &mut buffer.unfilled(), |read| read.len());
        match or_end(ready!(read))? {
            (0, _) => self.guard.finish(),
            _ => {
                self.guard.hold(buffer.filled(), self.state.limits());
                self.charge_held()?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Passes input on to hyper, as far as the guard lets it.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.guard.ready().is_empty() {
                if self.begin_bulk() {
                    return Poll::Pending;
                }
                self.pass_held(&mut cursor);
                return Poll::Ready(self.charge_held());
            }
            if self.guard.is_undecided() && self.state.phase() != Phase::Serving {
                // hyper asks for the next request.
                self.guard.go_on(self.state.limits());
                continue;
            }
            if let Some(end) = self.guard.end() {
                return Poll::Ready(self.end(end));
            }
            if self.guard.holds() {
                // It may have come before the answer was written.
                self.state.received();
                ready!(self.poll_hold(cx))?;
                continue;
            }
            let is_flushed = self.is_flushed();
            let GuardedIo { transport, guard, state, .. } = &mut *self;
            let keep = |read: &mut [u8]| {
                guard.admit(read, state.limits(), || is_flushed && state.may_begin_bulk())
            };
            match or_end(ready!(transport.poll_read_kept(cx, &mut cursor, keep)))? {
                (0, _) => guard.finish(),
                (count, kept) => {
                    coop::charge_bytes(count);
                    state.received();
                    self.charge_held()?;
                    if kept > 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }

    /// Passes on bytes that are held and may pass.
    fn pass_held(&mut self, cursor: &mut ReadBufCursor<'_>) {
        let ready = self.guard.ready();
        let count = ready.len().min(cursor.remaining());
        cursor.put_slice(&ready[..count]);
        self.guard.pass(count);
    }

    /// No more input passes. For hyper that is the end of the input, unless it reads a body that is
    /// refused.
    fn end(&mut self, end: InputEnd) -> io::Result<()> {
        match end {
            InputEnd::Finished => {}
            InputEnd::InHead => {
                self.state.set_failure(Failure::of_connection(CloseKind::Lost));
            }
            InputEnd::Refused { refusal, is_head } => {
                // Only once: hyper may read again.
                if self.refusal.is_empty() && self.state.phase() != Phase::Lingering {
                    let peer = self.state.peer();
                    tracing::debug!(%peer, status = %refusal.status, %refusal, "a request is refused");
                    self.refusal = refusal.response(!is_head);
                    self.state.refuse(refusal.status);
                }
            }
            InputEnd::Broken(refusal) => {
                self.state.set_failure(Failure::of_body(refusal.status));
                return Err(io::Error::new(io::ErrorKind::InvalidData, refusal));
            }
        }
        Ok(())
    }

    /// hyper begins to write a message. If that is a final answer to a request that waits for
    /// `100 Continue`, and its body is still to be read, `100 Continue` goes first.
    fn before_message(&mut self, front: &[u8]) {
        let is_final = !front.starts_with(b"HTTP/1.1 1");
        let is_success = front.get(9) == Some(&b'2');
        if self.at_front && is_final && self.state.keeps_body_for_later(is_success) {
            self.interim = CONTINUE;
        }
        self.state.begin_answer();
    }

    /// Writes what goes before hyper's next bytes.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let interim = self.interim;
            let written =
                self.poll_write_by(|| interim.len(), |transport| transport.poll_write(cx, interim));
            let count = ready!(written)?;
            self.interim = &self.interim[count..];
        }
        Poll::Ready(Ok(()))
    }

    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let refusal = std::mem::take(&mut self.refusal);
            let written = self
                .poll_write_by(|| refusal.len(), |transport| transport.poll_write(cx, &refusal));
            self.refusal = refusal;
            let count = ready!(written)?;
            self.refusal.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    /// Shuts the sending direction down, once.
    fn poll_begin_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.phase() == Phase::Lingering {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_flush_by(|transport| transport.poll_shutdown(cx)))?;
        let close = self.state.failure().close;
        // The other protocol has ended it, perhaps with a last message that says why.
        let cut_off = self.is_upgraded() && close.is_some() && !self.state.upgrade().is_exceeded();
        self.state.enter(Phase::Lingering, Instant::of_poll());
        let refused =
            matches!(self.guard.end(), Some(InputEnd::Refused { .. } | InputEnd::Broken(_)));
        self.peer_sends = refused || cut_off || self.state.left_unread();
        // Where memory is short, HTTP has no answer that a reset could destroy.
        let bytes = self.state.limits().linger_bytes;
        if bytes > 0 && (cut_off || close != Some(CloseKind::Memory)) {
            self.linger = Some(Linger::new(bytes));
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and drops what comes, until its end or the end of the patience. A peer that has been
    /// read to the end so far is not waited for.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let GuardedIo { transport, linger: Some(linger), peer_sends, .. } = self else {
            return Poll::Ready(());
        };
        let polled = linger.poll(|| {
            let discarded = poll_discard(transport.stream(), cx);
            *peer_sends |= matches!(discarded, Poll::Ready(Ok(1..)));
            discarded
        });
        match polled {
            Poll::Pending if !*peer_sends && coop::has_budget_remaining() => Poll::Ready(()),
            polled => polled,
        }
    }
}

/// What a read of the transport found. A stream that was cut off is one that has ended: in a message, the
/// guard and hyper know what is missing.
#[inline]
fn or_end(read: io::Result<(usize, usize)>) -> io::Result<(usize, usize)> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok((0, 0)),
        read => read,
    }
}

/// Reads something and drops it; says how many bytes it was.
fn poll_discard(stream: &Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut memory = [MaybeUninit::uninit(); READ_SIZE];
    let mut buffer = ReadBuf::uninit(&mut memory);
    stream.inner().poll_read_uninit(cx, &mut buffer.unfilled(), |_| 0).map_ok(|(read, _)| read)
}

impl<T: Transport> Read for GuardedIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = this.poll_pass(cx, cursor);
        if read.is_pending() && this.state.take_peek_request() {
            this.state.set_unread(this.transport.has_unread());
        }
        read
    }
}

impl<T: Transport> Write for GuardedIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// hyper has nothing left to write. While a service works on an answer, and hyper has the whole
    /// request, this reads ahead: a reset ends the service, and the end of the input does not. At most
    /// one read is held.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.at_front = true;
        ready!(self.poll_flush_by(|transport| transport.poll_flush(cx)))?;
        let serving = self.state.phase() == Phase::Serving;
        if serving
            && self.guard.is_between_messages()
            && let Poll::Ready(Err(error)) = self.poll_hold(cx)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(cx))?;
        ready!(self.poll_begin_linger(cx))?;
        self.poll_linger(cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.state.expects() {
            let front = buffers.iter().find(|buffer| !buffer.is_empty());
            self.before_message(front.map_or(&[], |front| &front[..]));
        }
        self.at_front = false;
        ready!(self.poll_interim(cx))?;
        self.poll_write_by(
            || buffers.iter().map(|buffer| buffer.len()).sum(),
            |transport| transport.poll_write_vectored(cx, buffers),
        )
    }
}

impl<T: Transport> Drop for GuardedIo<T> {
    fn drop(&mut self) {
        let budget = self.state.server().buffered();
        self.output_charge.release(budget);
        self.held_charge.release(budget);
        self.state.end_bulk();
        self.state.drain_waiters().close();
    }
}

/// Bytes of a read that does not go into hyper's buffer.
const READ_SIZE: usize = 8 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
