//! The socket as hyper sees it: with bounds on the peer that does not take its answers, and a close
//! that does not destroy the last one.
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

use heist_scheduler::time::Instant;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::conversation::{Conversation, Fault, Phase};
use super::pace::Pace;
use crate::Stream;

/// The socket of a conversation.
pub(super) struct Transport {
    stream: Stream,
    conversation: Arc<Conversation>,
    /// How fast the peer takes the answer to request number `request`.
    pace: Pace,
    request: u64,
    /// What the server's budget was charged with for bytes that wait to be written.
    charged: usize,
    linger: Option<Linger>,
}

/// What is left of the patience after the last answer. Its time is the connection's deadline.
struct Linger {
    bytes_left: usize,
    /// Whether the peer is known to be sending.
    expected: bool,
}

impl Transport {
    pub(super) fn new(stream: Stream, conversation: Arc<Conversation>) -> Transport {
        let pace = Pace::default();
        Transport { stream, conversation, pace, request: 0, charged: 0, linger: None }
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
            Poll::Pending => match self.blocked(wanted()) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    /// The peer took `count` bytes.
    fn moved(&mut self, count: usize) -> io::Result<()> {
        self.pace.count(count);
        if !self.pace.is_waiting() {
            return Ok(());
        }
        let now = Instant::of_poll();
        self.pace.wait_no_longer(now);
        self.conversation.set_blocked(None);
        if self.conversation.phase() == Phase::Idle {
            // It idles from the end of the answer on, not from when that was handed over.
            self.conversation.enter(Phase::Idle, now);
        }
        self.charge(0)?;
        let limits = self.conversation.limits();
        match self.pace.is_below(limits.min_send_rate, limits.rate_grace) {
            true => Err(self.fault(Fault::TakesTooSlowly, "the peer takes its answer too slowly")),
            false => Ok(()),
        }
    }

    /// The peer takes none of `wanted` bytes.
    fn blocked(&mut self, wanted: usize) -> io::Result<()> {
        let now = Instant::of_poll();
        let request = self.conversation.requests();
        if std::mem::replace(&mut self.request, request) != request && !self.pace.is_waiting() {
            self.pace = Pace::default();
        }
        if self.pace.wait(now) {
            self.conversation.set_blocked(Some(now));
        }
        self.charge(wanted)
    }

    /// Makes the server's budget hold `bytes` for this connection.
    fn charge(&mut self, bytes: usize) -> io::Result<()> {
        let budget = self.conversation.server().buffered();
        if let Some(less) = self.charged.checked_sub(bytes) {
            if less > 0 {
                budget.shrink(less);
            }
        } else if budget.try_grow(bytes - self.charged).is_err() {
            return Err(self.fault(Fault::OverBudget, "the server buffers too much already"));
        }
        self.charged = bytes;
        Ok(())
    }

    fn fault(&self, fault: Fault, message: &'static str) -> io::Error {
        self.conversation.set_fault(fault);
        io::Error::other(message)
    }

    /// Shuts the sending direction down, once.
    fn begin_linger(&mut self) -> io::Result<()> {
        if self.linger.is_some() {
            return Ok(());
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.conversation.enter(Phase::Lingering, Instant::of_poll());
        self.linger = Some(Linger {
            bytes_left: self.conversation.limits().linger_bytes,
            expected: self.conversation.left_unread(),
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
                Poll::Pending if linger.expected => return Poll::Pending,
                Poll::Pending => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

/// Reads something and drops it; says how many bytes it was.
fn poll_discard(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut memory = [MaybeUninit::uninit(); DISCARD_SIZE];
    stream.poll_read_cursor(cx, ReadBuf::uninit(&mut memory).unfilled())
}

impl Read for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if ready!(self.stream.poll_read_cursor(cx, cursor))? > 0 {
            self.conversation.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = self.stream.poll_write(cx, bytes);
        self.wrote(outcome, || bytes.len())
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.begin_linger()?;
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
        let outcome = self.stream.poll_write_vectored(cx, buffers);
        self.wrote(outcome, || buffers.iter().map(|buffer| buffer.len()).sum())
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.conversation.server().buffered().shrink(self.charged);
    }
}

const DISCARD_SIZE: usize = 8 * 1024;
