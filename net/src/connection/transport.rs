//! The bytes of a connection as a service sees them, whatever carries them: a plain socket, or a layer
//! such as TLS on top of one.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Poll, ready};

use super::io::{ConnectionIo, TransportIo};
use super::socket_io::SocketIo;
use crate::socket::inner::nonzero;
use crate::socket::stream::Stream;

/// The bytes of a connection, in both directions.
///
/// A [`Stream`] is the plain one. A layer of a server ([`TransportLayer`](crate::server::TransportLayer))
/// makes another one of it, for example a TLS session. All that a server does for its connections works
/// through this trait: limits, rates, lingering, the budget of buffered bytes, the drain.
///
/// What an implementation must do:
/// - It spends the budget of the poll as its [`stream`](Transport::stream) does, and is pending only
///   if the task will be woken.
/// - `Ok(0)` of a read means that the peer has finished sending in order. A layer that can tell a
///   truncated stream from a finished one returns `UnexpectedEof` for the former.
/// - A write that is pending has taken nothing. Bytes that a write has taken may wait in the
///   transport until [`poll_flush`](Transport::poll_flush) is ready.
/// - What it buffers is bounded, and told by [`memory`](Transport::memory).
/// - After `poll_shutdown` it may still be read.
/// - Where it has input for which no event of the socket will come, it says so by
///   [`has_buffered_input`](Transport::has_buffered_input).
///
/// ```
/// use heist::Transport;
/// use std::io;
///
/// /// Works on a plain socket and on TLS alike.
/// async fn echo(mut transport: impl Transport) -> io::Result<()> {
///     let mut buffer = [0; 4096];
///     loop {
///         match transport.read(&mut buffer).await? {
///             0 => return Ok(()),
///             count => transport.write_all(&buffer[..count]).await?,
///         }
///     }
/// }
/// # fn plain(stream: heist::net::Stream) { drop(echo(stream)) }
/// ```
pub trait Transport: Send + Unpin + 'static {
    /// Reads available bytes into `buffer` and returns their number. 0 means that the peer has
    /// finished sending, or that `buffer` is empty.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Takes bytes of the front of `buffers`, at least one unless all are empty.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Hands what was taken to the system. Pending while some of it waits.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Flushes, and tells the peer that nothing more comes. The peer may still send. Further calls do
    /// nothing.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The socket below. Bytes that are read or written there pass the transport by: a server reads
    /// there what a peer still sends after the end.
    fn stream(&self) -> &Stream;

    /// Whether a read would return bytes, or the end, without a look at the socket.
    fn has_buffered_input(&self) -> bool {
        false
    }

    /// How many bytes wait in the transport to be sent, as they will be sent.
    fn unsent(&self) -> usize {
        0
    }

    /// The memory of all bytes that wait in the transport, in both directions. It is charged to the
    /// server's budget.
    fn memory(&self) -> usize {
        0
    }

    /// The protocol that the peers have agreed on by ALPN, if any.
    fn alpn(&self) -> Option<&[u8]> {
        None
    }

    /// Adds what a service may want to know of the transport to the extensions of a request.
    #[cfg(feature = "hyper")]
    fn extend(&self, extensions: &mut hyper::http::Extensions) {
        let _ = extensions;
    }

    /// Whether a read may return something. If not, the task is woken when it may.
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.has_buffered_input() {
            true => Poll::Ready(Ok(())),
            false => self.stream().inner().poll_read_ready(cx),
        }
    }

    /// Whether input may be there that no read has returned, also such as no event has told of yet.
    fn has_unread(&self) -> bool {
        self.has_buffered_input() || self.stream().inner().has_unread()
    }

    /// Reads into the buffer of hyper; only the front of what was read is hyper's. `keep` looks at all
    /// of it, and may change it, and says how much that is. Returns how much was read, and kept.
    #[cfg(feature = "hyper")]
    #[doc(hidden)]
    fn poll_read_kept(
        &mut self,
        cx: &mut Context<'_>,
        cursor: &mut hyper::rt::ReadBufCursor<'_>,
        keep: impl FnOnce(&mut [u8]) -> usize,
    ) -> Poll<io::Result<(usize, usize)>>
    where
        Self: Sized,
    {
        let mut memory = [0; KEPT_READ];
        let length = memory.len().min(cursor.remaining());
        let count = ready!(self.poll_read(cx, &mut memory[..length]))?;
        let kept = keep(&mut memory[..count]).min(count);
        cursor.put_slice(&memory[..kept]);
        Poll::Ready(Ok((count, kept)))
    }

    /// Tells the peer, without waiting, that a connection which is dropped next ends in order. Nothing
    /// where the drop itself says it.
    #[doc(hidden)]
    fn close(&mut self, cx: &mut Context<'_>) {
        let _ = self.poll_shutdown(cx);
    }

    /// What the engine of protocols reads and writes.
    #[doc(hidden)]
    fn into_io(self) -> impl ConnectionIo
    where
        Self: Sized,
    {
        TransportIo::new(self)
    }

    /// As [`poll_write_vectored`](Transport::poll_write_vectored), from one buffer.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// Reads available bytes; see [`poll_read`](Transport::poll_read).
    ///
    /// Cancel-safe: nothing is lost.
    ///
    /// # Errors
    ///
    /// Those of [`Stream::read`](crate::Socket::read), and those of the layer.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send {
        poll_fn(move |cx| self.poll_read(cx, buffer))
    }

    /// Writes all of `bytes` and flushes.
    ///
    /// Not cancel-safe: dropping the future leaves an unknown part of `bytes` written.
    ///
    /// # Errors
    ///
    /// Those of [`Stream::write`](crate::Socket::write), and those of the layer.
    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send {
        let mut rest = bytes;
        poll_fn(move |cx| {
            while !rest.is_empty() {
                let count = nonzero(ready!(self.poll_write(cx, rest))?)?;
                rest = &rest[count..];
            }
            self.poll_flush(cx)
        })
    }

    /// Flushes, and tells the peer that nothing more comes.
    ///
    /// Cancel-safe: a further call goes on.
    ///
    /// # Errors
    ///
    /// Those of [`Stream::shutdown`](crate::Socket::shutdown), and those of the layer.
    fn finish(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        poll_fn(move |cx| self.poll_shutdown(cx))
    }
}

/// The plain socket: nothing is buffered.
impl Transport for Stream {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_read(cx, buffer)
    }

    #[inline]
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, buffers)
    }

    #[inline]
    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_directions(Shutdown::Write))
    }

    #[inline]
    fn stream(&self) -> &Stream {
        self
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, bytes)
    }

    #[inline]
    fn close(&mut self, _cx: &mut Context<'_>) {}

    /// The connection counts its bytes by itself.
    fn into_io(self) -> impl ConnectionIo {
        let (source, _meter) = self.into_parts();
        SocketIo::new(source)
    }

    #[cfg(feature = "hyper")]
    #[inline]
    fn poll_read_kept(
        &mut self,
        cx: &mut Context<'_>,
        cursor: &mut hyper::rt::ReadBufCursor<'_>,
        keep: impl FnOnce(&mut [u8]) -> usize,
    ) -> Poll<io::Result<(usize, usize)>> {
        self.inner().poll_read_uninit(cx, cursor, keep)
    }
}

/// Bytes of a read that goes through memory of its own.
#[cfg(feature = "hyper")]
const KEPT_READ: usize = 8 * 1024;
