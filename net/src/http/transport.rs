//! The socket as hyper sees it: behind the guard, with bounds on the peer that does not take its
//! answers, and with a close that does not destroy the last one.
//!
//! A socket that is closed while it holds unread bytes answers with a reset, and a reset can make
//! the peer throw away what it has not read yet: the very 413 that explains the close. So after
//! the last answer the sending direction is shut down, and what the peer still sends is read and
//! thrown away for a while.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_scheduler::coop;
use heist_scheduler::time::Instant;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::conversation::{Conversation, Phase};
use super::failure::Failure;
use super::guard::{End, Guard};
use crate::Stream;
use crate::connection::close_reason::CloseKind;
use crate::connection::rate_monitor::{MinRate, RateMonitor};

/// The socket of a conversation.
pub(super) struct Transport {
    stream: Stream,
    conversation: Arc<Conversation>,
    guard: Guard,
    /// How fast the peer takes the answer to request number `request`.
    rate: RateMonitor,
    request: u64,
    /// What the server's budget was charged with, for bytes that wait to be written and for what
    /// the guard holds.
    charged: usize,
    charged_held: usize,
    /// hyper has written nothing since it last had nothing left to write: what it writes next is
    /// the front of a message.
    at_front: bool,
    /// What goes out before hyper writes any more: a part of [`CONTINUE`].
    interim: &'static [u8],
    /// What goes out when hyper has finished.
    last_words: Vec<u8>,
    linger: Option<Linger>,
    closed: bool,
}

/// What is left of the patience after the last answer. Its time is the connection's deadline.
struct Linger {
    bytes_left: usize,
    /// Whether the peer is known to be sending.
    expected: bool,
}

impl Transport {
    pub(super) fn new(stream: Stream, conversation: Arc<Conversation>) -> Transport {
        Transport {
            stream,
            conversation,
            guard: Guard::default(),
            rate: RateMonitor::default(),
            request: 0,
            charged: 0,
            charged_held: 0,
            at_front: true,
            interim: &[],
            last_words: Vec::new(),
            linger: None,
            closed: false,
        }
    }

    /// Whether it has been shut down, and what the peer still sent was heard out.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Makes of what a write came to what hyper is told.
    fn wrote(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        wanted: impl FnOnce() -> usize,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(count)) => Poll::Ready(self.moved(count).map(|()| count)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // That the task's turn is over says nothing of the peer.
            Poll::Pending if is_put_off() => Poll::Pending,
            Poll::Pending => match self.blocked(wanted()) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    /// The peer took `count` bytes.
    fn moved(&mut self, count: usize) -> io::Result<()> {
        self.rate.count(count);
        if !self.rate.is_waiting() {
            return Ok(());
        }
        let now = Instant::of_poll();
        self.rate.end_wait(now);
        self.conversation.set_blocked(None);
        if self.conversation.phase() == Phase::Idle {
            // It idles from the end of the answer on, not from when that was handed over.
            self.conversation.enter(Phase::Idle, now);
        }
        self.charge(0)?;
        let limits = self.conversation.limits();
        let least = MinRate { rate: limits.min_send_rate, grace: limits.rate_grace };
        match self.rate.is_below(least) {
            true => Err(self.fail(CloseKind::TooSlow, "the peer takes its answer too slowly")),
            false => Ok(()),
        }
    }

    /// The peer takes none of `wanted` bytes.
    fn blocked(&mut self, wanted: usize) -> io::Result<()> {
        let now = Instant::of_poll();
        let request = self.conversation.requests();
        if std::mem::replace(&mut self.request, request) != request && !self.rate.is_waiting() {
            self.rate = RateMonitor::default();
        }
        if self.rate.begin_wait(now) {
            self.conversation.set_blocked(Some(now));
        }
        self.charge(wanted)
    }

    /// Makes the server's budget hold `bytes` for what waits to be written.
    fn charge(&mut self, bytes: usize) -> io::Result<()> {
        match self.conversation.server().buffered().change(self.charged, bytes) {
            Ok(()) => self.charged = bytes,
            Err(_) => return Err(self.over_budget()),
        }
        Ok(())
    }

    /// Makes the server's budget hold what the guard holds.
    fn charge_held(&mut self) -> io::Result<()> {
        let held = self.guard.memory();
        if held == self.charged_held {
            return Ok(());
        }
        match self.conversation.server().buffered().change(self.charged_held, held) {
            Ok(()) => self.charged_held = held,
            Err(_) => return Err(self.over_budget()),
        }
        Ok(())
    }

    fn over_budget(&self) -> io::Error {
        self.fail(CloseKind::Memory, "the server buffers too much already")
    }

    fn fail(&self, close: CloseKind, message: &'static str) -> io::Error {
        self.conversation.set_failure(Failure::of_connection(close));
        io::Error::other(message)
    }

    /// Reads into the memory of the guard.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut memory = [MaybeUninit::uninit(); READ_SIZE];
        let mut buffer = ReadBuf::uninit(&mut memory);
        let read = self.stream.poll_read_kept(cx, &mut buffer.unfilled(), |read| read.len());
        match ready!(read)? {
            (0, _) => self.guard.finish(),
            _ => {
                self.guard.hold(buffer.filled(), self.conversation.limits());
                self.charge_held()?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Passes on to hyper what came, as far as the guard lets it.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let ready = self.guard.ready();
            if !ready.is_empty() {
                let count = ready.len().min(cursor.remaining());
                cursor.put_slice(&ready[..count]);
                self.guard.pass(count);
                return Poll::Ready(self.charge_held());
            }
            if let Some(end) = self.guard.end() {
                return Poll::Ready(self.end(end));
            }
            if self.guard.holds() {
                // It may have come before the answer was out.
                self.conversation.received();
                ready!(self.poll_hold(cx))?;
                continue;
            }
            let Transport { stream, guard, conversation, .. } = &mut *self;
            let keep = |read: &mut [u8]| guard.admit(read, conversation.limits());
            match ready!(stream.poll_read_kept(cx, &mut cursor, keep))? {
                (0, _) => guard.finish(),
                (_, kept) => {
                    conversation.received();
                    self.charge_held()?;
                    if kept > 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }

    /// Nothing more passes: for hyper that is the end of the input, unless it is in the middle of a
    /// body that is refused.
    fn end(&mut self, end: End) -> io::Result<()> {
        match end {
            End::Finished => {}
            End::InHead => {
                self.conversation.set_failure(Failure::of_connection(CloseKind::Lost));
            }
            End::Refused { refusal, is_head } => {
                // Once: hyper may ask again.
                if self.last_words.is_empty() && self.linger.is_none() {
                    let peer = self.conversation.peer();
                    tracing::debug!(%peer, status = %refusal.status, %refusal, "a request is refused");
                    self.last_words = refusal.response(!is_head);
                    self.conversation.refuse(refusal.status);
                }
            }
            End::Broken(refusal) => {
                self.conversation.set_failure(Failure::of_body(refusal.status));
                return Err(io::Error::new(io::ErrorKind::InvalidData, refusal));
            }
        }
        Ok(())
    }

    /// hyper begins to write a message: if that is a final answer to a request that waits for
    /// `100 Continue`, and its body is still to be read, this says so first.
    fn before_message(&mut self, front: &[u8]) {
        let is_final = !front.starts_with(b"HTTP/1.1 1");
        let is_success = front.get(9) == Some(&b'2');
        if self.at_front && is_final && self.conversation.keeps_body_for_later(is_success) {
            self.interim = CONTINUE;
        }
        self.conversation.begin_answer();
    }

    /// Writes what is to go out before hyper writes any more.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let written = self.stream.poll_write(cx, self.interim);
            let length = self.interim.len();
            let count = ready!(self.wrote(written, || length))?;
            self.interim = &self.interim[count..];
        }
        Poll::Ready(Ok(()))
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.last_words.is_empty() {
            let written = self.stream.poll_write(cx, &self.last_words);
            let length = self.last_words.len();
            let count = ready!(self.wrote(written, || length))?;
            self.last_words.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    /// Shuts the sending direction down, once.
    fn begin_linger(&mut self) -> io::Result<()> {
        if self.linger.is_some() {
            return Ok(());
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.conversation.enter(Phase::Lingering, Instant::of_poll());
        let refused = matches!(self.guard.end(), Some(End::Refused { .. } | End::Broken(_)));
        // Where memory is short, there is no answer that a reset could destroy.
        let over_budget = self.conversation.failure().close == Some(CloseKind::Memory);
        self.linger = Some(Linger {
            bytes_left: if over_budget { 0 } else { self.conversation.limits().linger_bytes },
            expected: refused || self.conversation.left_unread(),
        });
        Ok(())
    }

    /// Reads and drops what comes, until the end of it or of the patience. A peer that has been
    /// read to the end so far is not waited for.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Transport { stream, linger: Some(linger), .. } = self else {
            return Poll::Ready(());
        };
        while linger.bytes_left > 0 {
            match poll_discard(stream, cx) {
                Poll::Ready(Ok(count @ 1..)) => {
                    linger.expected = true;
                    linger.bytes_left = linger.bytes_left.saturating_sub(count);
                }
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Pending if linger.expected || is_put_off() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

/// Whether what is pending was not tried, as the poll has used up its budget of operations. The task
/// was woken to try again.
#[cold]
fn is_put_off() -> bool {
    coop::operations_left() == Some(0)
}

/// Reads something and drops it; says how many bytes it was.
fn poll_discard(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut memory = [MaybeUninit::uninit(); READ_SIZE];
    let mut buffer = ReadBuf::uninit(&mut memory);
    stream.poll_read_kept(cx, &mut buffer.unfilled(), |_| 0).map_ok(|(read, _)| read)
}

impl Read for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = this.poll_pass(cx, cursor);
        if read.is_pending() && this.conversation.take_order() {
            let unread = matches!(this.stream.socket().peek(&mut [0]), Ok(1..));
            this.conversation.set_unread(unread);
        }
        read
    }
}

impl Write for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// hyper has nothing left to write. While a service works on an answer, and hyper has the whole
    /// request, this looks at what comes next: a reset ends the service, and the end of the input
    /// does not. One read's worth is held, no more.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.at_front = true;
        let serving = self.conversation.phase() == Phase::Serving;
        if serving
            && self.guard.is_between_messages()
            && let Poll::Ready(Err(error)) = self.poll_hold(cx)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_last_words(cx))?;
        self.begin_linger()?;
        ready!(self.poll_linger(cx));
        self.closed = true;
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.conversation.expects() {
            let front = buffers.iter().find(|buffer| !buffer.is_empty());
            self.before_message(front.map_or(&[], |front| &front[..]));
        }
        self.at_front = false;
        ready!(self.poll_interim(cx))?;
        let outcome = self.stream.poll_write_vectored(cx, buffers);
        self.wrote(outcome, || buffers.iter().map(|buffer| buffer.len()).sum())
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.conversation.server().buffered().shrink(self.charged + self.charged_held);
        self.conversation.drain_signal().ring();
    }
}

/// How much is read at once where hyper does not take it.
const READ_SIZE: usize = 8 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
