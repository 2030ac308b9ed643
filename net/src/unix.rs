//! Unix sockets: listening, connecting, and the stream.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll};

use heist_reactor::{Direction, Interest, Kind, Source};

use crate::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::stream::Stream;
use crate::{driver, sys};

/// A Unix socket that accepts connections.
///
/// Dropping it closes the socket and leaves its file, as the system does.
pub struct UnixListener {
    source: Source<sys::UnixListener>,
}

impl UnixListener {
    /// Listens on `path`, which must not exist.
    ///
    /// # Errors
    ///
    /// What the system says (`AddrInUse` if the file exists), and [`NoDriver`](crate::NoDriver)
    /// outside of a runtime.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::new(sys::UnixListener::bind(path.as_ref())?)
    }

    /// Takes over a listening socket, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixListener::bind).
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::new(sys::UnixListener::from_std(listener)?)
    }

    fn new(listener: sys::UnixListener) -> io::Result<UnixListener> {
        let source = driver::register(listener, Interest::Read, Kind::Other)?;
        Ok(UnixListener { source })
    }

    /// Waits for the next connection, and takes it.
    ///
    /// Cancel-safe: a connection is taken only when the future completes.
    ///
    /// # Errors
    ///
    /// The system's, as they are: [`accept_error_kind`](crate::accept_error_kind) tells those that
    /// concern one connection from those that concern the listener.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Takes one connection, or stores the task's waker. Only the task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](UnixListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let accepted = self.source.poll_io(Direction::Read, cx, |listener| listener.accept());
        accepted.map(|accepted| {
            let (socket, peer) = accepted?;
            Ok((UnixStream { stream: Stream::new(socket)? }, peer))
        })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local()
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.io().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl std::fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnixListener").field("local", &self.local_addr().ok()).finish()
    }
}

/// A connection over a Unix socket.
///
/// As [`TcpStream`](crate::TcpStream) in all but addresses and options.
///
/// ```
/// use heist_net::{Runtime, UnixStream};
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let (mut near, mut far) = UnixStream::pair()?;
///     near.write_all(b"hello").await?;
///     let mut buffer = [0; 16];
///     assert_eq!(far.read(&mut buffer).await?, 5);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UnixStream {
    pub(crate) stream: Stream,
}

impl UnixStream {
    /// Connects to the listener at `path`.
    ///
    /// Cancel-safe: dropping the future closes the socket.
    ///
    /// # Errors
    ///
    /// What the system says, and [`NoDriver`](crate::NoDriver) outside of a runtime. A listener
    /// whose backlog is full is `WouldBlock` on Linux, which gives no event when there is room: try
    /// again later.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let socket = sys::Stream::connect_unix(path.as_ref())?;
        Ok(UnixStream { stream: Stream::connected(socket).await? })
    }

    /// Two connected ends.
    ///
    /// # Errors
    ///
    /// What the system says, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = sys::Stream::pair_unix()?;
        let end = |socket| Ok::<_, io::Error>(UnixStream { stream: Stream::new(socket)? });
        Ok((end(one)?, end(other)?))
    }

    /// Takes over a connected socket, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// What the system says, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        let socket = sys::Stream::from_std_unix(stream)?;
        Ok(UnixStream { stream: Stream::new(socket)? })
    }

    /// The address at the other end; mostly without a name.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.socket().unix_peer()
    }

    /// The address at this end; mostly without a name.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.socket().unix_local()
    }

    /// Reads what is there into `buffer` and returns how many bytes that were; waits while there
    /// are none. 0 means that the peer has finished sending, or that `buffer` is empty.
    ///
    /// Cancel-safe: nothing is read unless the future completes.
    ///
    /// # Errors
    ///
    /// What the system says (the connection was reset), and [`heist_reactor::Closed`] once the
    /// runtime shuts down.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).await
    }

    /// Reads until `buffer` is full.
    ///
    /// Not cancel-safe: what was read before the future was dropped is lost.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and `UnexpectedEof` if the peer finished sending before.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(buffer).await
    }

    /// Waits until bytes are there and copies them to `buffer`, but leaves them to be read.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(buffer).await
    }

    /// Writes as much of `bytes` as there is room for, at least one byte, and returns how much.
    ///
    /// Cancel-safe: nothing is written unless the future completes.
    ///
    /// # Errors
    ///
    /// What the system says (the connection was reset), `WriteZero` if it takes nothing, and
    /// [`heist_reactor::Closed`] once the runtime shuts down.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes).await
    }

    /// Writes all of `bytes`.
    ///
    /// Not cancel-safe: dropping the future leaves an unknown part of `bytes` written.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Writes from several buffers with one system call, as [`write`](Self::write) does from one.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(buffers).await
    }

    /// As [`read`](Self::read), for futures written by hand. Only the task that polled last is
    /// woken.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buffer)
    }

    /// As [`poll_read`](Self::poll_read), into several buffers with one system call.
    pub fn poll_read_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_read_vectored(cx, buffers)
    }

    /// As [`write`](Self::write), for futures written by hand. Only the task that polled last is
    /// woken.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, bytes)
    }

    /// As [`poll_write`](Self::poll_write), from several buffers with one system call.
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(cx, buffers)
    }

    /// Shuts down one direction or both. With [`Shutdown::Write`] the peer reads the end of the
    /// stream after what was written, and can still send.
    ///
    /// # Errors
    ///
    /// What the system says. A connection that is gone already is shut down already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// The two directions, borrowed: to read and write at once in one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::borrowed(&self.stream)
    }

    /// The two directions, each to be moved into a task of its own. They share one socket, which is
    /// closed when both are dropped.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::owned(self.stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(unix: UnixStream) -> Stream {
        unix.stream
    }
}

impl AsFd for UnixStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.socket().as_fd()
    }
}

impl AsRawFd for UnixStream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
