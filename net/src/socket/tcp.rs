//! TCP: listening and connecting. Further methods of listeners and streams are in `listener` and
//! `stream`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::runtime::operation;
use crate::socket::connect::first::first;
use crate::socket::connect::resolve;
use crate::socket::connect::target::Target;
use crate::socket::family::Tcp;
use crate::socket::listener::SocketListener;
use crate::socket::stream::{Socket, Stream};
use crate::socket::sys;

/// A TCP socket that accepts connections.
///
/// ```
/// use heist::Runtime;
/// use heist::net::{TcpListener, TcpStream};
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
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
pub type TcpListener = SocketListener<Tcp>;

/// A TCP connection.
///
/// `TCP_NODELAY` is set: each write is sent at once, so write whole messages. [`Socket`] has the
/// methods that read and write.
pub type TcpStream = Socket<Tcp>;

impl SocketListener<Tcp> {
    /// Listens on the first address of `target` that can be bound; port 0 lets the system choose
    /// one.
    ///
    /// A name is looked up as [`resolve`](crate::resolve()) does; an address is bound at once. The
    /// address can be bound again at once after a restart (`SO_REUSEADDR`). A
    /// [`TcpSocket`](crate::TcpSocket) takes other options.
    ///
    /// Cancel-safe, as [`resolve`](crate::resolve()).
    ///
    /// # Errors
    ///
    /// The system's for the last address (it is in use, or not allowed),
    /// [`ConnectError::NotFound`](crate::ConnectError::NotFound) as the inner error if there is no
    /// address, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    ///
    /// # Panics
    ///
    /// Outside a runtime, if there is a name to look up.
    pub async fn bind(target: impl Into<Target>) -> io::Result<TcpListener> {
        first(target.into(), |address| TcpListener::new(sys::TcpListener::bind(address)?)).await
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

    /// Gives the socket to the standard library, as [`TcpStream::into_std`] does. Pending
    /// connections stay in its backlog.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        self.duplicate().map(Into::into)
    }
}

impl Socket<Tcp> {
    /// Connects to an address, or to one of the addresses of a name.
    ///
    /// A name is looked up as [`resolve`](crate::resolve()) does. Several addresses are tried as
    /// RFC 8305 describes, in the order of the system's resolver but with the families in turn. The
    /// next attempt begins when the one before it has failed, or after 250 ms. The first attempt
    /// that succeeds wins, and the others are dropped. A lone address takes one attempt, and no
    /// look-up.
    ///
    /// It takes 30 s at most, look-up included; [`connect_timeout`](Self::connect_timeout) takes
    /// another limit. Cancel-safe: dropping the future closes the sockets, and removes a look-up
    /// that waits for a thread from its queue; a running look-up occupies its thread until it ends.
    ///
    /// # Errors
    ///
    /// To a [`SocketAddr`], the system's, with its code, and
    /// [`TimedOut`](io::ErrorKind::TimedOut). To anything else,
    /// [`ConnectError`](crate::ConnectError) as the inner error: there is no address, or each
    /// attempt failed, with the error of each. Outside of a runtime that error is
    /// [`NoDriver`](crate::NoDriver).
    ///
    /// # Panics
    ///
    /// Outside a runtime, if there is a name to look up.
    ///
    /// ```
    /// use heist::Runtime;
    /// use heist::net::{TcpListener, TcpStream};
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.block_on(async {
    ///     let listener = TcpListener::bind("localhost:0").await?;
    ///     let port = listener.local_addr()?.port();
    ///     let stream = TcpStream::connect(("localhost", port)).await?;
    ///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn connect(target: impl Into<Target>) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(target, CONNECT_TIME).await
    }

    /// As [`connect`](Self::connect), but gives up after `timeout`; never for
    /// [`Duration::MAX`].
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_timeout(
        target: impl Into<Target>,
        timeout: Duration,
    ) -> io::Result<TcpStream> {
        resolve::connect(target.into(), timeout, TcpStream::connect_address).await
    }

    /// One attempt to connect, without a time limit.
    pub(crate) async fn connect_address(address: SocketAddr) -> io::Result<TcpStream> {
        operation::proceed().await;
        let socket = sys::Stream::connect_tcp(address)?;
        TcpStream::connected(socket).await
    }

    /// Takes over a connected socket, and sets it to non-blocking mode, `TCP_NODELAY` and
    /// `SO_OOBINLINE`.
    ///
    /// # Errors
    ///
    /// The system's, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::new(sys::Stream::from_std_tcp(stream)?)
    }

    /// Gives the socket to the standard library. It stays in non-blocking mode, and its descriptor
    /// is a duplicate, with another number.
    ///
    /// # Errors
    ///
    /// The system's, if the process has no descriptor left; the connection is closed then.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        self.socket().duplicate().map(Into::into)
    }

    /// How many routers a packet may pass (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket().options().ttl_v4()
    }

    /// Sets how many routers a packet may pass (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket().options().set_ttl_v4(ttl)
    }

    /// Whether what arrives is acknowledged at once (`TCP_QUICKACK`).
    ///
    /// # Errors
    ///
    /// The system's.
    #[cfg(target_os = "linux")]
    pub fn quickack(&self) -> io::Result<bool> {
        self.socket().options().tcp_quickack()
    }

    /// Sets whether what arrives is acknowledged at once (`TCP_QUICKACK`). The system takes it back
    /// by itself as the connection goes on.
    ///
    /// # Errors
    ///
    /// The system's.
    #[cfg(target_os = "linux")]
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.socket().options().set_tcp_quickack(quickack)
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket().options().tcp_nodelay()
    }

    /// Makes the close of the connection a reset: bytes that were not sent by then are lost, and
    /// the port does not stay in TIME-WAIT (`SO_LINGER` with a time of zero).
    ///
    /// `SO_LINGER` with a longer time, set by other means, has no effect: all it does is make
    /// `close` wait, and it is taken back so that no worker waits. The system sends the written
    /// bytes in either case.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.socket().options().set_linger(Some(Duration::ZERO))
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`), which is the default.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket().options().set_tcp_nodelay(nodelay)
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Stream {
        Stream::of_any(tcp)
    }
}

/// The time limit of [`TcpStream::connect`].
const CONNECT_TIME: Duration = Duration::from_secs(30);
