//! The asynchronous part that all stream sockets share: readiness around one system call.
//!
//! A read of a ready socket clears the direction's ready bit, spends one unit of the poll's budget, and
//! makes the system call. `WouldBlock` leaves the bit clear, and the next poll of the source stores the
//! waker; any other outcome sets the bit again, because more may be there. A read that fills only part
//! of its buffer has drained a TCP socket, which saves a further read. A read of a socket that is not
//! ready waits, and spends nothing.
//!
//! A write mostly succeeds. So it is tried with the bit as it is, and takes the steps of a read only
//! where there was no room.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_reactor::{Direction, Drain, Interest, Source, uninterrupted};
use heist_scheduler::coop;

use crate::runtime::driver;
use crate::runtime::operation::{self, restore_if_pending};
use crate::socket::meter::Meter;
use crate::socket::sys;
use crate::socket::vectored;

/// A connected socket of any family: the common part of [`Socket`](crate::Socket) and of the halves
/// of a [split](crate::socket::split) stream.
///
/// Its methods take a shared reference, and one task at a time may wait in each direction: the
/// public types around it give each direction one user.
pub struct SocketInner {
    source: Source<sys::Stream>,
    /// Counts the bytes, if a server accepted the socket.
    meter: Option<Arc<Meter>>,
}

impl SocketInner {
    /// Registers a connected socket with the current runtime's event queue.
    pub(crate) fn new(socket: sys::Stream) -> io::Result<SocketInner> {
        SocketInner::register(socket, Interest::None)
    }

    /// Waits until `socket`, which began to connect, has a peer.
    ///
    /// Writable is only a hint: the outcome is in `SO_ERROR` and in the peer's address.
    pub(crate) async fn connected(socket: sys::Stream) -> io::Result<SocketInner> {
        let stream =
            operation::outcome_until_shutdown(SocketInner::register(socket, Interest::ReadWrite))
                .await?;
        poll_fn(|cx| operation::until_shutdown(stream.poll_connected(cx))).await?;
        Ok(stream)
    }

    fn register(socket: sys::Stream, interest: Interest) -> io::Result<SocketInner> {
        let kind = socket.kind();
        Ok(SocketInner { source: driver::attach(socket, interest, kind)?, meter: None })
    }

    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let drain = ready!(self.source.poll_drain_exclusive(Direction::Write, cx))?;
            if let Some(error) = self.socket().take_error()? {
                return Poll::Ready(Err(error));
            }
            if self.socket().is_connected()? {
                return Poll::Ready(Ok(()));
            }
            drain.drained();
        }
    }

    /// Makes `meter` count the bytes of the socket.
    pub(crate) fn set_meter(&mut self, meter: Arc<Meter>) {
        self.meter = Some(meter);
    }

    /// Counts bytes that were read from the socket.
    #[inline]
    pub(super) fn count_read(&self, count: usize) {
        if let Some(meter) = &self.meter {
            meter.count_read(count);
        }
    }

    /// Counts bytes that were written to the socket.
    #[inline]
    pub(super) fn count_written(&self, count: usize) {
        if let Some(meter) = &self.meter {
            meter.count_written(count);
        }
    }

    /// Notes a pending outcome for a task that looks at what its polls wait for.
    #[inline]
    pub(super) fn noted<R>(&self, direction: Direction, outcome: Poll<R>) -> Poll<R> {
        if let (Poll::Pending, Some(meter)) = (&outcome, &self.meter) {
            meter.note_pending(direction);
        }
        outcome
    }

    pub(super) fn source(&self) -> &Source<sys::Stream> {
        &self.source
    }

    /// The socket itself.
    pub(crate) fn socket(&self) -> &sys::Stream {
        self.source.io()
    }

    /// The source and its meter, for callers that drain the socket themselves.
    pub(crate) fn into_parts(self) -> (Source<sys::Stream>, Option<Arc<Meter>>) {
        (self.source, self.meter)
    }

    /// As [`Socket::poll_read`](crate::Socket::poll_read).
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(cx, buffer.len(), |socket| socket.read(buffer))
    }

    pub(crate) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        vectored::to_read(buffers, |buffers| {
            // The room of this one call: a read that fills it is not short.
            let length = buffers.iter().map(|buffer| buffer.len()).sum();
            self.poll_read_with(cx, length, |socket| socket.read_vectored(buffers))
        })
    }

    /// One read of at most `length` bytes by `read`. A read of 0 bytes does not reach the socket:
    /// its `0` must not be mistaken for the end of the stream.
    pub(crate) fn poll_read_with(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        mut read: impl FnMut(&sys::Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        if let Some(drain) = self.source.try_drain(Direction::Read) {
            ready!(coop::poll_proceed(cx));
            match read(self.socket()) {
                Ok(count) => return Poll::Ready(Ok(self.note_read(drain, count, length))),
                Err(error) => nothing_read(error, drain)?,
            }
        }
        self.poll_read_anew(cx, length, read)
    }

    /// As [`poll_read_with`](SocketInner::poll_read_with), where nothing is known to be there.
    fn poll_read_anew(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        read: impl FnMut(&sys::Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        // A wait spends no budget.
        ready!(self.poll_read_ready(cx))?;
        ready!(coop::poll_proceed(cx));
        let read = operation::until_shutdown(self.poll_read_now(cx, length, read));
        self.noted(Direction::Read, restore_if_pending(read))
    }

    #[cold]
    fn poll_read_now(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        mut read: impl FnMut(&sys::Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let drain = ready!(self.source.poll_drain_exclusive(Direction::Read, cx))?;
            match uninterrupted(|| read(self.socket())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => drain.drained(),
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => return Poll::Ready(Ok(self.note_read(drain, count, length))),
            }
        }
    }

    /// Counts a read of `count` bytes into room for `length`. One that fills only part of the room has
    /// drained a TCP socket.
    #[inline]
    fn note_read(&self, drain: Drain<'_>, count: usize, length: usize) -> usize {
        if 0 < count && count < length && drain.short_read_drains() {
            drain.drained();
        }
        self.count_read(count);
        count
    }

    /// Whether a read may find something. Spends no budget.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drain = self.source.poll_drain_exclusive(Direction::Read, cx);
        self.noted(Direction::Read, operation::until_shutdown(drain).map_ok(drop))
    }

    /// Whether bytes are in the socket, also such as no event has told of yet.
    pub(crate) fn has_unread(&self) -> bool {
        matches!(self.socket().peek(&mut [0]), Ok(1..))
    }

    /// As a read, but the bytes stay in the socket: a short one drains nothing.
    pub(crate) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(coop::poll_proceed(cx));
        let peeked =
            self.source.poll_io_exclusive(Direction::Read, cx, |socket| socket.peek(buffer));
        self.noted(Direction::Read, restore_if_pending(operation::until_shutdown(peeked)))
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, bytes.len(), |socket| socket.write(bytes))
    }

    /// Writes the last bytes. The caller shuts the direction down as soon as all of them are written, so
    /// that the end goes out in one packet with them.
    #[cfg(feature = "tls")]
    pub(crate) fn poll_write_last(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, bytes.len(), |socket| socket.write_last(bytes))
    }

    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let buffers = vectored::to_write(buffers);
        // The first of them is not empty.
        self.poll_write_with(cx, buffers.len(), |socket| socket.write_vectored(&buffers))
    }

    /// One write by `write`. A write of 0 `items` does not reach the socket.
    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        items: usize,
        mut write: impl FnMut(&sys::Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if items == 0 {
            return Poll::Ready(Ok(0));
        }
        ready!(coop::poll_proceed(cx));
        let count = match self.source.try_io(Direction::Write, &mut write) {
            Some(written) => written?,
            None => ready!(self.poll_write_anew(cx, write))?,
        };
        self.count_written(count);
        Poll::Ready(nonzero(count))
    }

    /// The rest of a write for which there was no room.
    #[cold]
    fn poll_write_anew(
        &self,
        cx: &mut Context<'_>,
        write: impl FnMut(&sys::Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let written = self.source.poll_io_exclusive(Direction::Write, cx, write);
        self.noted(Direction::Write, restore_if_pending(operation::until_shutdown(written)))
    }

    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    pub(crate) async fn read_exact(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(filled)
    }

    pub(crate) async fn read_to_end_limited(&self, limit: usize) -> io::Result<Vec<u8>> {
        let (mut bytes, mut filled) = (Vec::new(), 0);
        loop {
            if filled == bytes.len() {
                // Room for one byte above the limit tells an end at the limit from more.
                let length = FIRST_LENGTH.max(2 * filled).min(limit.saturating_add(1));
                bytes.reserve_exact(length - filled);
                bytes.resize(length, 0);
            }
            match self.read(&mut bytes[filled..]).await? {
                0 => break,
                count => filled += count,
            }
            if filled > limit {
                return Err(io::Error::new(io::ErrorKind::InvalidData, TooLong { limit }));
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write(cx, bytes)).await
    }

    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.write(bytes).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    pub(crate) async fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_vectored(cx, buffers)).await
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket().shutdown(how)
    }
}

/// The peer sent more than the limit; see
/// [`read_to_end_limited`](crate::Socket::read_to_end_limited).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer sent more than the limit of {limit} bytes")]
pub struct TooLong {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Takes note of a read that has failed. `Ok` if it is to be tried again: its unit of the budget is given
/// back.
#[cold]
fn nothing_read(error: io::Error, drain: Drain<'_>) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock => drain.drained(),
        io::ErrorKind::Interrupted => drop(drain),
        _ => return Err(error),
    }
    coop::restore();
    Ok(())
}

/// The number of bytes that a write accepted. None is an error, or a loop that writes the rest
/// would never end.
pub(crate) fn nonzero(count: usize) -> io::Result<usize> {
    match count {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

/// The first buffer of [`SocketInner::read_to_end_limited`], in bytes.
const FIRST_LENGTH: usize = 4096;

#[cfg(test)]
#[path = "inner_tests.rs"]
mod tests;
