//! UDP sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};

use heist_reactor::{Direction, Interest, Kind, uninterrupted};

use crate::runtime::driver;
use crate::runtime::operation;
use crate::runtime::source::Source;
use crate::socket::connect::first::first;
use crate::socket::connect::resolve;
use crate::socket::connect::target::Target;
use crate::socket::sys;

/// A UDP socket.
///
/// All methods take a shared reference, and any number of tasks may wait in each direction: a
/// datagram wakes one of them. So one socket in an `Arc` serves a task that receives and many that
/// send.
///
/// A datagram that is longer than the buffer is cut, and the rest is lost. Options that have no
/// method here are set through [`AsFd`], with the crate `socket2`.
///
/// An ICMP message that a port is unreachable is an error (`ConnectionRefused`) of the next
/// operation of a [connected](UdpSocket::connect) socket, once; the socket goes on after it.
///
/// ```
/// use heist::Runtime;
/// use heist::net::UdpSocket;
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let server = UdpSocket::bind("127.0.0.1:0").await?;
///     let client = UdpSocket::bind("127.0.0.1:0").await?;
///     client.connect(server.local_addr()?).await?;
///
///     client.send(b"ping").await?;
///     let mut buffer = [0; 1500];
///     let (length, peer) = server.recv_from(&mut buffer).await?;
///     server.send_to(&buffer[..length], peer).await?;
///     assert_eq!(client.recv(&mut buffer).await?, 4);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UdpSocket {
    source: Source<std::net::UdpSocket>,
}

impl UdpSocket {
    /// Binds to the first address of `target` that can be bound; port 0 lets the system choose one.
    ///
    /// Cancel-safe, as [`resolve`](crate::resolve()).
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`](crate::TcpListener::bind).
    ///
    /// # Panics
    ///
    /// Outside a runtime, if there is a name to look up.
    pub async fn bind(target: impl Into<Target>) -> io::Result<UdpSocket> {
        let bind =
            |address| std::net::UdpSocket::bind::<SocketAddr>(address).and_then(Self::from_std);
        first(target.into(), bind).await
    }

    /// Takes over a socket, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// The system's, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        socket.set_nonblocking(true)?;
        let source = driver::attach(socket, Interest::None, Kind::Other)?;
        Ok(UdpSocket { source: Source::new(source) })
    }

    /// Gives the socket to the standard library. It stays in non-blocking mode, and its descriptor
    /// is a duplicate, with another number.
    ///
    /// # Errors
    ///
    /// The system's, if the process has no descriptor left; the socket is closed then.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.source.io().try_clone()
    }

    /// Chooses the peer of [`send`](UdpSocket::send) and [`recv`](UdpSocket::recv): the first
    /// address of `target` that can be. Datagrams of other peers are dropped.
    ///
    /// # Errors
    ///
    /// As [`bind`](UdpSocket::bind).
    ///
    /// # Panics
    ///
    /// As [`bind`](UdpSocket::bind).
    pub async fn connect(&self, target: impl Into<Target>) -> io::Result<()> {
        first(target.into(), |address| self.source.io().connect(address)).await
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected`, and the system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().peer_addr()
    }

    /// Sends a datagram to the connected peer, and returns its length. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The system's, and [`heist_reactor::Closed`] after the runtime of the socket has shut down.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.source.io_when_ready(Direction::Write, |socket| socket.send(bytes)).await
    }

    /// Sends a datagram to the first address of `target`, and returns its length. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`send`](UdpSocket::send), and as [`resolve`](crate::resolve()) if there is a name to
    /// look up.
    ///
    /// # Panics
    ///
    /// As [`bind`](UdpSocket::bind).
    pub async fn send_to(&self, bytes: &[u8], target: impl Into<Target>) -> io::Result<usize> {
        let target = target.into();
        let address = match target.address() {
            Some(address) => address,
            None => resolve::resolve(target).await?[0],
        };
        self.source.io_when_ready(Direction::Write, |socket| socket.send_to(bytes, address)).await
    }

    /// Receives a datagram from the connected peer, and returns its length. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`send`](UdpSocket::send).
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.io_when_ready(Direction::Read, |socket| socket.recv(buffer)).await
    }

    /// Receives a datagram, and returns its length and its sender. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`send`](UdpSocket::send).
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.source.io_when_ready(Direction::Read, |socket| socket.recv_from(buffer)).await
    }

    /// As [`recv_from`](UdpSocket::recv_from), and leaves the datagram in the socket. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.source.io_when_ready(Direction::Read, |socket| socket.peek_from(buffer)).await
    }

    /// As [`send`](UdpSocket::send), for futures written by hand. Readiness wakes every task that
    /// waits by a method of this kind.
    pub fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.source.poll_io(Direction::Write, cx, |socket| socket.send(bytes))
    }

    /// As [`poll_send`](UdpSocket::poll_send), to `address`.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        address: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.source.poll_io(Direction::Write, cx, |socket| socket.send_to(bytes, address))
    }

    /// As [`recv`](UdpSocket::recv), for futures written by hand; see
    /// [`poll_send`](UdpSocket::poll_send).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.source.poll_io(Direction::Read, cx, |socket| socket.recv(buffer))
    }

    /// As [`recv_from`](UdpSocket::recv_from), for futures written by hand; see
    /// [`poll_send`](UdpSocket::poll_send).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.source.poll_io(Direction::Read, cx, |socket| socket.recv_from(buffer))
    }

    /// As [`send`](UdpSocket::send), and does not wait.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, and the system's.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_io(Direction::Write, || uninterrupted(|| self.source.io().send(bytes)))
    }

    /// As [`try_send`](UdpSocket::try_send), to `address`.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn try_send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<usize> {
        self.try_io(Direction::Write, || uninterrupted(|| self.source.io().send_to(bytes, address)))
    }

    /// As [`recv`](UdpSocket::recv), and does not wait.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no datagram, and the system's.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_io(Direction::Read, || uninterrupted(|| self.source.io().recv(buffer)))
    }

    /// As [`recv_from`](UdpSocket::recv_from), and does not wait.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](UdpSocket::try_recv).
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_io(Direction::Read, || uninterrupted(|| self.source.io().recv_from(buffer)))
    }

    /// Does `operation`, a system call on the socket by other means, such as one for several
    /// datagrams, and notes when it would block, so that the next wait in `direction` waits for the
    /// system.
    ///
    /// # Errors
    ///
    /// The operation's. `WouldBlock` must mean that the direction is drained.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let drain = self.source.try_drain(direction);
        operation::noted(drain, operation())
    }

    /// Waits until a datagram or an error is there. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`heist_reactor::Closed`] after the runtime of the socket has shut down, and the system's if it
    /// refuses to report events. The error of the socket is left to the operation.
    pub async fn readable(&self) -> io::Result<()> {
        // A new socket is marked ready before the kernel was asked, so this looks. A look that
        // peeked would take the error of the socket.
        self.source.io_when_ready(Direction::Read, sys::readable).await
    }

    /// Waits until there is likely room for a datagram. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`readable`](UdpSocket::readable).
    pub async fn writable(&self) -> io::Result<()> {
        self.source.io_when_ready(Direction::Write, sys::writable).await
    }

    /// Whether datagrams may be sent to a broadcast address (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.source.io().broadcast()
    }

    /// Sets whether datagrams may be sent to a broadcast address (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.source.io().set_broadcast(broadcast)
    }

    /// The error that the system holds for the socket (`SO_ERROR`), which this clears.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.io().take_error()
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.io().as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket").field("local", &self.local_addr().ok()).finish()
    }
}
