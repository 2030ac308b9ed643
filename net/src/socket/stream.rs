//! A connected socket: one type for all families.
//!
//! The parts that differ by family (connecting, addresses, options) are in `tcp` and `unix`;
//! reading and writing are in `inner`.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll};

use heist_reactor::Source;

use crate::socket::family::{Any, Family};
use crate::socket::inner::SocketInner;
use crate::socket::meter::Meter;
use crate::socket::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::socket::sys;

/// A connected socket of any family.
///
/// [`TcpStream`](crate::TcpStream) and [`UnixStream`](crate::UnixStream) turn into it with
/// `into()`, so that a protocol need not depend on the family of its socket.
pub type Stream = Socket<Any>;

/// A connected socket: a [`TcpStream`](crate::TcpStream), a [`UnixStream`](crate::UnixStream), or
/// a [`Stream`], which may be either.
///
/// Reading and writing take `&mut`, because one task may wait in each direction; to do both at
/// once, [split](Self::split_mut) it. Dropping it closes the connection.
///
/// It also implements the traits of `futures-io`, with the feature `hyper` those of `hyper::rt`, and
/// with the feature `tokio-io` those of tokio.
///
/// Options of the socket that have no method here are set through [`AsFd`], with the crate
/// `socket2`. `SO_LINGER` with a time is taken back when the stream is dropped: the drop never
/// waits.
///
/// ```
/// use heist::Runtime;
/// use heist::net::{TcpListener, TcpStream};
/// use socket2::SockRef;
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let stream = TcpStream::connect(listener.local_addr()?).await?;
///     SockRef::from(&stream).set_keepalive(true)?;
///     assert!(SockRef::from(&stream).keepalive()?);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Socket<F> {
    inner: SocketInner,
    family: PhantomData<F>,
}

impl<F> Socket<F> {
    /// Reads available bytes into `buffer` and returns their number; waits while there are none. 0
    /// means that the peer has finished sending, or that `buffer` is empty.
    ///
    /// Cancel-safe: nothing is read unless the future completes.
    ///
    /// # Errors
    ///
    /// The system's (the connection was reset), and [`heist_reactor::Closed`] after the runtime of
    /// the socket has shut down.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).await
    }

    /// Reads until `buffer` is full, and returns its length.
    ///
    /// Not cancel-safe: bytes that were read before the future was dropped are lost.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and `UnexpectedEof` if the peer finished sending before.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_exact(buffer).await
    }

    /// Reads until the peer finishes sending, and returns all bytes, at most `limit`.
    ///
    /// There is no time limit: put a [`timeout`](heist_scheduler::time::timeout) around it. Not
    /// cancel-safe: bytes that were read before the future was dropped are lost.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and `InvalidData` with [`TooLong`](crate::TooLong) inside if the
    /// peer sends more; at most one byte above the limit is read then, and all that was read is
    /// lost.
    ///
    /// ```
    /// use heist::Runtime;
    /// use heist::net::UnixStream;
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.block_on(async {
    ///     let (mut near, mut far) = UnixStream::pair()?;
    ///     near.write_all(b"all there is").await?;
    ///     drop(near);
    ///     assert_eq!(far.read_to_end_limited(1024).await?, b"all there is");
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn read_to_end_limited(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        self.inner.read_to_end_limited(limit).await
    }

    /// Writes as many of `bytes` as the system accepts, at least one, and returns their number.
    ///
    /// Cancel-safe: nothing is written unless the future completes.
    ///
    /// # Errors
    ///
    /// The system's (the connection was reset), `WriteZero` if it accepts nothing, and
    /// [`heist_reactor::Closed`] after the runtime of the socket has shut down.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).await
    }

    /// Writes all of `bytes`.
    ///
    /// Not cancel-safe: dropping the future leaves an unknown part of `bytes` written.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes).await
    }

    /// As [`write`](Self::write), from several buffers with one system call. Returns 0 at once if
    /// all buffers are empty.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write_vectored(buffers).await
    }

    /// As [`read`](Self::read), for futures written by hand. Only the task that polled last is
    /// woken.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_read(cx, buffer)
    }

    /// As [`poll_read`](Self::poll_read), into several buffers with one system call. 0 means that
    /// the peer has finished sending, or that all buffers are empty.
    pub fn poll_read_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_read_vectored(cx, buffers)
    }

    /// As [`write`](Self::write), for futures written by hand. Only the task that polled last is
    /// woken.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_write(cx, bytes)
    }

    /// As [`poll_write`](Self::poll_write), from several buffers with one system call.
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write_vectored(cx, buffers)
    }

    /// Does nothing: each write goes to the system at once, and no byte is buffered here.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Shuts the writing direction down: the peer reads the end of the stream after what was
    /// written, and can still send. [`shutdown_directions`](Self::shutdown_directions) takes the
    /// other direction or both.
    ///
    /// Cancel-safe: it does not wait.
    ///
    /// # Errors
    ///
    /// The system's. To shut down a connection that has ended already is no error.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.inner.shutdown(Shutdown::Write)
    }

    /// Shuts one direction down, or both, at once and from any thread. A waiting read of this
    /// socket ends with [`Shutdown::Read`].
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_directions(&self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)
    }

    /// Lends the two directions, to read and write at once in one task.
    ///
    /// It is named so as not to hide `AsyncReadExt::split` of the crate `futures`, which takes the
    /// stream itself.
    pub fn split_mut(&mut self) -> (ReadHalf<'_, F>, WriteHalf<'_, F>) {
        split::borrowed(&self.inner)
    }

    /// Splits the socket into its two directions, each for a task of its own. They share one
    /// socket, which is closed when both are dropped; [`reunite`](OwnedReadHalf::reunite) joins
    /// them again.
    pub fn into_split(self) -> (OwnedReadHalf<F>, OwnedWriteHalf<F>) {
        split::owned(self.inner)
    }
}

impl<F: Family> Socket<F> {
    /// The address of the peer; that of a Unix socket mostly has no name.
    ///
    /// # Errors
    ///
    /// `NotConnected` once a TCP connection was reset.
    pub fn peer_addr(&self) -> io::Result<F::Address> {
        F::peer(self.socket())
    }

    /// The address of this end; that of a Unix socket mostly has no name.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<F::Address> {
        F::local(self.socket())
    }
}

impl<F> Socket<F> {
    /// Registers a connected socket of this family with the current runtime's event queue.
    pub(crate) fn new(socket: sys::Stream) -> io::Result<Socket<F>> {
        SocketInner::new(socket).map(Socket::from_inner)
    }

    /// Waits until `socket`, which began to connect and is of this family, has a peer.
    pub(crate) async fn connected(socket: sys::Stream) -> io::Result<Socket<F>> {
        SocketInner::connected(socket).await.map(Socket::from_inner)
    }

    pub(super) fn from_inner(inner: SocketInner) -> Socket<F> {
        Socket { inner, family: PhantomData }
    }

    /// The socket without its family.
    pub(crate) fn inner(&self) -> &SocketInner {
        &self.inner
    }

    pub(crate) fn socket(&self) -> &sys::Stream {
        self.inner.socket()
    }
}

/// For the protocol engine, which drains the socket itself.
impl Stream {
    /// The source and its meter.
    pub(crate) fn into_parts(self) -> (Source<sys::Stream>, Option<Arc<Meter>>) {
        self.inner.into_parts()
    }

    /// Makes `meter` count the bytes of the stream.
    pub(crate) fn set_meter(&mut self, meter: Arc<Meter>) {
        self.inner.set_meter(meter);
    }

    /// The same socket, with its family forgotten.
    pub(crate) fn of_any<F>(stream: Socket<F>) -> Stream {
        Socket::from_inner(stream.inner)
    }
}

impl<F> AsFd for Socket<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().lend()
    }
}

impl<F> AsRawFd for Socket<F> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<F> fmt::Debug for Socket<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.socket().family()).finish()
    }
}
