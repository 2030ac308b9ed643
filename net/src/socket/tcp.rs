//! TCP: listening and connecting. What a listener and a stream do then is in `listening` and `stream`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::runtime::operation;
use crate::socket::connect::resolve;
use crate::socket::connect::target::Target;
use crate::socket::family::Tcp;
use crate::socket::listener::SocketListener;
use crate::socket::stream::{Socket, Stream};
use crate::socket::sys;

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
pub type TcpListener = SocketListener<Tcp>;

/// A TCP connection.
///
/// `TCP_NODELAY` is set: what is written is sent at once, so write whole messages. How to read and
/// to write is told at [`Socket`].
pub type TcpStream = Socket<Tcp>;

impl SocketListener<Tcp> {
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
}

impl Socket<Tcp> {
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
        operation::proceed().await;
        let socket = sys::Stream::connect_tcp(address)?;
        TcpStream::connected(socket).await
    }

    /// Connects to a host by its name: looks up its addresses, as [`resolve`](crate::resolve()) does,
    /// and tries them as RFC 8305 says, in the order in which the system wants them tried, but with the
    /// families in turn. The next attempt begins when the one before it has failed, or after 250 ms; the
    /// first that succeeds wins, and the others are dropped.
    ///
    /// All of it, with the look-up, takes 30 s at most; [`connect_timeout`](Self::connect_timeout) takes
    /// another time. Cancel-safe: dropping the future closes the sockets, and takes a look-up that waits
    /// for a thread out of its queue; a look-up under way keeps its thread until it is over.
    ///
    /// # Errors
    ///
    /// [`ConnectError`](crate::ConnectError), as the inner error: there is no address, or none of
    /// them could be connected to, with the reason of each.
    ///
    /// # Panics
    ///
    /// Outside a runtime, if there is a name to look up.
    ///
    /// ```
    /// use heist_net::{Runtime, TcpListener, TcpStream};
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    ///     let port = listener.local_addr()?.port();
    ///     let stream = TcpStream::connect_to(("localhost", port)).await?;
    ///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn connect_to(target: impl Into<Target>) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(target, CONNECT_TIME).await
    }

    /// As [`connect_to`](Self::connect_to), but gives up after `timeout`; never for [`Duration::MAX`].
    ///
    /// # Errors
    ///
    /// As [`connect_to`](Self::connect_to).
    ///
    /// # Panics
    ///
    /// As [`connect_to`](Self::connect_to).
    pub async fn connect_timeout(
        target: impl Into<Target>,
        timeout: Duration,
    ) -> io::Result<TcpStream> {
        resolve::connect(target.into(), timeout, TcpStream::connect).await
    }

    /// Takes over a connected socket, and sets it to non-blocking mode, `TCP_NODELAY` and
    /// `SO_OOBINLINE`.
    ///
    /// # Errors
    ///
    /// What the system says, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::new(sys::Stream::from_std_tcp(stream)?)
    }

    /// The address at the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the connection was reset.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().tcp_peer()
    }

    /// The address at this end.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().tcp_local()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket().options().tcp_nodelay()
    }

    /// Has the connection reset when it is closed, rather than ended behind what was written: what was
    /// not sent by then is lost, and no port waits for stragglers (`SO_LINGER` with a time of zero).
    ///
    /// `SO_LINGER` with a longer time, set by other means, has no effect: on its own it only has `close`
    /// wait, and a socket is closed without, so that its worker need not. The system sends what was
    /// written in either case.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.socket().options().set_linger(Some(Duration::ZERO))
    }

    /// Chooses whether small writes are sent at once (`TCP_NODELAY`); they are unless this says no.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket().options().set_tcp_nodelay(nodelay)
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Stream {
        Stream::of_any(tcp)
    }
}

/// What all of [`TcpStream::connect_to`] may take.
const CONNECT_TIME: Duration = Duration::from_secs(30);
