//! A stream that is polled, as tungstenite reads and writes it: it never blocks.

use std::fmt;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heist_net::Transport;
use heist_net::server::{OverBudget, Shared};
use hyper::rt::{self, ReadBuf};
use hyper::upgrade::Upgraded;

use crate::limits::READ_BUFFER;

/// The bytes below a WebSocket.
pub trait ByteStream: Send + Unpin + 'static {
    /// Reads available bytes; 0 at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Takes bytes of the front of `bytes`.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Hands on what was taken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl ByteStream for Upgraded {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = rt::Read::poll_read(Pin::new(self), cx, buffer.unfilled());
        read.map_ok(|()| buffer.filled().len())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        rt::Write::poll_write(Pin::new(self), cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        rt::Write::poll_flush(Pin::new(self), cx)
    }
}

/// A [`Transport`] below a WebSocket, without HTTP.
#[derive(Debug)]
pub struct Raw<T>(pub T);

impl<T: Transport> ByteStream for Raw<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }
}

/// What tungstenite reads from and writes to. Where the stream is pending it reports `WouldBlock`, and
/// the task of the last [`poll_as`](Adapter::poll_as) is woken.
pub(crate) struct Adapter<S> {
    stream: S,
    waker: Waker,
    /// Bytes that came since a message was whole, and the most that may.
    received: usize,
    most: usize,
    /// The server whose budget is charged with them, and with how many.
    server: Option<Arc<Shared>>,
    charged: usize,
    refusal: Option<Refusal>,
}

/// Why nothing more is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// The heads of the fragments of one message take too much.
    TooManyFragments,
    /// The server buffers too much already.
    Memory(OverBudget),
}

impl<S: ByteStream> Adapter<S> {
    pub(crate) fn new(stream: S, most: usize) -> Adapter<S> {
        Adapter {
            stream,
            waker: Waker::noop().clone(),
            received: 0,
            most,
            server: None,
            charged: 0,
            refusal: None,
        }
    }

    /// Charges the budget of `server`.
    pub(crate) fn charge(&mut self, server: Arc<Shared>) {
        self.server = Some(server);
    }

    /// Has the task of `cx` woken where the stream is pending.
    pub(crate) fn poll_as(&mut self, cx: &Context<'_>) {
        if !self.waker.will_wake(cx.waker()) {
            self.waker = cx.waker().clone();
        }
    }

    /// A message is whole: what it took is the service's.
    pub(crate) fn end_message(&mut self) {
        self.received = 0;
        self.release();
    }

    /// A control frame with so much payload has come, perhaps between the fragments of a message.
    pub(crate) fn end_control(&mut self, payload: usize) {
        self.received = self.received.saturating_sub(payload + CONTROL_HEAD);
    }

    #[cfg(test)]
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    fn receive(&mut self, count: usize) -> Result<(), Refusal> {
        self.received += count;
        if self.received > self.most {
            return Err(Refusal::TooManyFragments);
        }
        if self.received > READ_BUFFER
            && let Some(server) = &self.server
        {
            server.buffered().change(self.charged, self.received).map_err(Refusal::Memory)?;
            self.charged = self.received;
        }
        Ok(())
    }

    fn release(&mut self) {
        if let Some(server) = &self.server
            && self.charged > 0
        {
            server.buffered().shrink(std::mem::take(&mut self.charged));
        }
    }
}

impl<S: ByteStream> Read for Adapter<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(refusal) = self.refusal {
            return Err(refusal.into());
        }
        let cx = &mut Context::from_waker(&self.waker);
        let count = or_block(self.stream.poll_read(cx, buffer))?;
        match self.receive(count) {
            Ok(()) => Ok(count),
            Err(refusal) => {
                self.refusal = Some(refusal);
                Err(refusal.into())
            }
        }
    }
}

impl<S: ByteStream> Write for Adapter<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_block(self.stream.poll_write(&mut Context::from_waker(&self.waker), bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_block(self.stream.poll_flush(&mut Context::from_waker(&self.waker)))
    }
}

impl<S> Drop for Adapter<S> {
    fn drop(&mut self) {
        if let Some(server) = &self.server
            && self.charged > 0
        {
            server.buffered().shrink(self.charged);
        }
    }
}

impl<S> fmt::Debug for Adapter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").field("received", &self.received).finish_non_exhaustive()
    }
}

impl From<Refusal> for io::Error {
    fn from(_: Refusal) -> io::Error {
        io::Error::other("what came of a message takes too much")
    }
}

fn or_block<R>(polled: Poll<io::Result<R>>) -> io::Result<R> {
    match polled {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Of a masked frame of up to 125 bytes.
const CONTROL_HEAD: usize = 6;
