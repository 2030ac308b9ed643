//! A connection as hyper sees it, with a close that does not destroy the last response.
//!
//! A socket that is closed while it holds unread bytes answers with a reset, and a reset can make
//! the peer throw away what it has not read yet: the very 413 that explains the close. So after
//! the last response the sending direction is shut down, and what the peer still sends is read
//! and thrown away for a while.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist::net::Stream;
use heist::time::{self, Sleep};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::app::Conversation;

/// The socket of a conversation.
pub(crate) struct Peer {
    stream: Stream,
    conversation: Arc<Conversation>,
    linger: Option<Linger>,
}

/// The time after the last response.
struct Linger {
    bytes_left: usize,
    end: Sleep,
    /// Whether the peer is known to be sending.
    expected: bool,
}

impl Peer {
    pub(crate) fn new(stream: Stream, conversation: Arc<Conversation>) -> Peer {
        Peer { stream, conversation, linger: None }
    }

    /// Reads and drops what comes, until the end of it or of the patience. A peer that has been
    /// read to the end so far is not waited for.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Peer { stream, conversation, linger } = self;
        let linger = linger.get_or_insert_with(|| Linger {
            bytes_left: LINGER_BYTES,
            end: time::sleep(LINGER_TIME),
            expected: conversation.left_unread(),
        });
        while linger.bytes_left > 0 {
            match poll_discard(stream, cx) {
                Poll::Ready(Ok(count @ 1..)) => {
                    linger.expected = true;
                    linger.bytes_left = linger.bytes_left.saturating_sub(count);
                }
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Pending if linger.expected => return Pin::new(&mut linger.end).poll(cx),
                Poll::Pending => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

/// Reads something and drops it; says how many bytes it was.
fn poll_discard(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut memory = [MaybeUninit::uninit(); DISCARD_SIZE];
    let mut buffer = ReadBuf::uninit(&mut memory);
    ready!(Pin::new(stream).poll_read(cx, buffer.unfilled()))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

impl Read for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.poll_linger(cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }
}

const LINGER_TIME: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 256 * 1024;
const DISCARD_SIZE: usize = 8 * 1024;
