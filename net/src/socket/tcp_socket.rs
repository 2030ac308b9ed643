//! A TCP socket before it connects or listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::runtime::operation;
use crate::socket::sys;
use crate::socket::tcp::{TcpListener, TcpStream};

/// A TCP socket that has not connected yet, or not listened: for options that must be set before,
/// and for a source address.
///
/// `TCP_NODELAY` is set, as on each stream of heist. Options that have no method here are set
/// through [`AsFd`], with the crate `socket2`: `SockRef::from(&socket)`.
///
/// ```
/// use heist::Runtime;
/// use heist::net::TcpSocket;
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let listener = TcpSocket::new_v4()?;
///     listener.set_reuseaddr(true)?;
///     listener.bind("127.0.0.1:0".parse().unwrap())?;
///     let listener = listener.listen(1024)?;
///
///     let socket = TcpSocket::new_v4()?;
///     socket.set_recv_buffer_size(64 * 1024)?;
///     socket.bind("127.0.0.1:0".parse().unwrap())?;
///     let source = socket.local_addr()?;
///     let _stream = socket.connect(listener.local_addr()?).await?;
///     let (_accepted, peer) = listener.accept().await?;
///     assert_eq!(peer, source);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TcpSocket(Socket);

impl TcpSocket {
    /// A new IPv4 socket.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV4)
    }

    /// A new IPv6 socket.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<TcpSocket> {
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), None)?;
        sys::set_tcp_options(&socket)?;
        Ok(TcpSocket(socket))
    }

    /// Takes over a socket that was made elsewhere, and sets it to non-blocking mode, `TCP_NODELAY`
    /// and `SO_OOBINLINE`. It may have begun to connect: see [`connected`](TcpSocket::connected).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn from_std_stream(stream: std::net::TcpStream) -> io::Result<TcpSocket> {
        stream.set_nonblocking(true)?;
        sys::set_tcp_options(&stream)?;
        Ok(TcpSocket(stream.into()))
    }

    /// Binds it to a local address: the source of a connection, or the address to listen on. Port 0
    /// lets the system choose one.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.0.bind(&address.into())
    }

    /// Connects to `address`.
    ///
    /// There is no time limit but the system's, which is minutes: put a
    /// [`timeout`](heist_scheduler::time::timeout) around it. Cancel-safe: dropping the future
    /// closes the socket.
    ///
    /// # Errors
    ///
    /// The system's (refused, unreachable, timed out), and [`NoDriver`](crate::NoDriver) outside of
    /// a runtime.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        operation::proceed().await;
        match self.0.connect(&address.into()) {
            // After a signal it goes on as well.
            Err(error) if !is_under_way(&error) => Err(error),
            _ => TcpStream::connected(sys::Stream::from_prepared(self.0)).await,
        }
    }

    /// Waits for the outcome of a connect that is under way: of a socket that was made, and that
    /// began to connect, elsewhere.
    ///
    /// As [`connect`](TcpSocket::connect) in all else.
    ///
    /// # Errors
    ///
    /// As [`connect`](TcpSocket::connect), and `NotConnected` if the socket has not begun to
    /// connect.
    ///
    /// ```
    /// use heist::Runtime;
    /// use heist::net::{TcpListener, TcpSocket};
    /// use socket2::{Domain, Socket, Type};
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    ///     // "In progress": not blocking, it does not wait for the answer.
    ///     let _ = socket.connect(&listener.local_addr()?.into());
    ///     let stream = TcpSocket::from_std_stream(socket.into())?.connected().await?;
    ///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn connected(self) -> io::Result<TcpStream> {
        operation::proceed().await;
        // Before the others, which then tell whether the connect ended meanwhile.
        let is_hung_up = is_hung_up(&self.0);
        let socket = sys::Stream::from_prepared(self.0);
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        if is_hung_up && !socket.is_connected()? {
            let message = "the socket has not begun to connect";
            return Err(io::Error::new(io::ErrorKind::NotConnected, message));
        }
        TcpStream::connected(socket).await
    }

    /// Listens with a backlog of that length, at most the system's limit.
    ///
    /// # Errors
    ///
    /// The system's, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.0.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::new(sys::TcpListener::from_prepared(self.0)?)
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.0.local_addr()?;
        address.as_socket().ok_or_else(|| Errno::AFNOSUPPORT.into())
    }

    /// The error that the system holds for the socket (`SO_ERROR`), which this clears.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }
}

/// Options.
impl TcpSocket {
    /// Whether an address can be bound again while old connections of it are in TIME-WAIT (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.0.reuse_address()
    }

    /// Sets whether an address can be bound again while old connections of it are in TIME-WAIT (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.0.set_reuse_address(reuseaddr)
    }

    /// Whether several sockets can listen on one address (`SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.0.reuse_port()
    }

    /// Sets whether several sockets can listen on one address (`SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.0.set_reuse_port(reuseport)
    }

    /// Whether the system probes a peer that is silent (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.0.keepalive()
    }

    /// Sets whether the system probes a peer that is silent (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.0.set_keepalive(keepalive)
    }

    /// Whether small writes are sent at once, which is the default (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.tcp_nodelay()
    }

    /// Sets whether small writes are sent at once, which is the default (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.set_tcp_nodelay(nodelay)
    }

    /// The size of the send buffer, in bytes (`SO_SNDBUF`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        Ok(self.0.send_buffer_size()? as u32)
    }

    /// Sets the size of the send buffer, in bytes (`SO_SNDBUF`).
    /// The system may set another one: Linux doubles it, within its limits.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_send_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.0.set_send_buffer_size(bytes as usize)
    }

    /// The size of the receive buffer, in bytes (`SO_RCVBUF`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        Ok(self.0.recv_buffer_size()? as u32)
    }

    /// Sets the size of the receive buffer, in bytes (`SO_RCVBUF`). It fixes the window that
    /// is offered to the peer, so it has to be set before the connection.
    /// The system may set another one: Linux doubles it, within its limits.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_recv_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.0.set_recv_buffer_size(bytes as usize)
    }

    /// As [`TcpStream::set_zero_linger`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.0.set_linger(Some(Duration::ZERO))
    }

    /// Sets the type of service of the packets (`IP_TOS`): the differentiated services and the
    /// explicit congestion notification.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.0.set_tos_v4(tos)
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The socket itself, for code that is to connect it in another way.
impl From<TcpSocket> for OwnedFd {
    fn from(socket: TcpSocket) -> OwnedFd {
        socket.0.into()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket").field("local", &self.local_addr().ok()).finish()
    }
}

fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
        || error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
}

/// Whether neither a connection nor an attempt is there. Linux reports this of a socket that has not
/// begun to connect; where a system does not, [`TcpSocket::connected`] waits.
fn is_hung_up(socket: &Socket) -> bool {
    sys::events_now(socket, PollFlags::OUT).is_ok_and(|events| events.contains(PollFlags::HUP))
}
