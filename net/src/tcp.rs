//! TCP: listening, connecting, and the stream.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};

use heist_reactor::{Direction, Interest, Kind, Source};

use crate::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::stream::Stream;
use crate::{driver, sys};

/// A TCP socket that accepts connections.
///
/// ```
/// use heist_net::{Runtime, TcpListener, TcpStream};
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
///     let address = listener.local_addr()?;
///     let mut client = TcpStream::connect(address).await?;
///     let (mut stream, _peer) = listener.accept().await?;
///
///     client.write_all(b"hello").await?;
///     let mut greeting = [0; 5];
///     stream.read_exact(&mut greeting).await?;
///     assert_eq!(&greeting, b"hello");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TcpListener {
    source: Source<sys::TcpListener>,
}

impl TcpListener {
    /// Listens on `address`; port 0 lets the system choose one.
    ///
    /// The address can be bound again at once after a restart (`SO_REUSEADDR`). For other options,
    /// set up a socket by other means and take it over with [`from_std`](TcpListener::from_std).
    ///
    /// # Errors
    ///
    /// What the system says (the address is taken, or not allowed), and
    /// [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::new(sys::TcpListener::bind(address)?)
    }

    /// Takes over a listening socket, and sets it to non-blocking mode, `TCP_NODELAY` and
    /// `SO_OOBINLINE`.
    ///
    /// # Errors
    ///
    /// As [`bind`](TcpListener::bind).
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::new(sys::TcpListener::from_std(listener)?)
    }

    fn new(listener: sys::TcpListener) -> io::Result<TcpListener> {
        let source = driver::register(listener, Interest::Read, Kind::Other)?;
        Ok(TcpListener { source })
    }

    /// Waits for the next connection, and takes it.
    ///
    /// Cancel-safe: a connection is taken only when the future completes.
    ///
    /// # Errors
    ///
    /// The system's, as they are: [`accept_error_kind`](crate::accept_error_kind) tells those that
    /// concern one connection from those that concern the listener.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Takes one connection, or stores the task's waker. Only the task that polled last is woken.
    ///
    /// To take all that wait, call it until it is pending.
    ///
    /// # Errors
    ///
    /// As [`accept`](TcpListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = self.source.poll_io(Direction::Read, cx, |listener| listener.accept());
        accepted.map(|accepted| {
            let (socket, peer) = accepted?;
            Ok((TcpStream { stream: Stream::new(socket)? }, peer))
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

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.io().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl std::fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpListener").field("local", &self.local_addr().ok()).finish()
    }
}

/// A TCP connection.
///
/// `TCP_NODELAY` is set: what is written is sent at once, so write whole messages. Reading and
/// writing need `&mut`, since one task may wait in each direction; to do both at once,
/// [`split`](Self::split) it. Dropping it closes the connection.
///
/// It also implements the traits of `futures-io`, and with the feature `hyper` those of
/// `hyper::rt`.
#[derive(Debug)]
pub struct TcpStream {
    pub(crate) stream: Stream,
}

impl TcpStream {
    /// Connects to `address`.
    ///
    /// There is no limit of time but the system's, which is minutes: put a
    /// [`timeout`](heist_scheduler::time::timeout) around it. Cancel-safe: dropping the future
    /// closes the socket.
    ///
    /// # Errors
    ///
    /// What the system says (refused, unreachable, timed out), and [`NoDriver`](crate::NoDriver)
    /// outside of a runtime.
    pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let socket = sys::Stream::connect_tcp(address)?;
        Ok(TcpStream { stream: Stream::connected(socket).await? })
    }

    /// Takes over a connected socket, and sets it to non-blocking mode, `TCP_NODELAY` and
    /// `SO_OOBINLINE`.
    ///
    /// # Errors
    ///
    /// What the system says, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        let socket = sys::Stream::from_std_tcp(stream)?;
        Ok(TcpStream { stream: Stream::new(socket)? })
    }

    /// The address at the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the connection was reset.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.socket().tcp_peer()
    }

    /// The address at this end.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.socket().tcp_local()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.stream.socket().options().tcp_nodelay()
    }

    /// Chooses whether small writes are sent at once (`TCP_NODELAY`); they are unless this says no.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.stream.socket().options().set_tcp_nodelay(nodelay)
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

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Stream {
        tcp.stream
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.socket().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
