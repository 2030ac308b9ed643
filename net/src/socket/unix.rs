//! Unix sockets: listening and connecting. Further methods of listeners and streams are in
//! `listener` and `stream`.

use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use crate::runtime::operation;
use crate::socket::family::Unix;
use crate::socket::listener::SocketListener;
use crate::socket::stream::{Socket, Stream};
use crate::socket::sys;

/// A Unix socket that accepts connections.
///
/// Dropping it closes the socket and leaves its file, as the system does.
pub type UnixListener = SocketListener<Unix>;

/// A connection over a Unix socket.
///
/// Like [`TcpStream`](crate::TcpStream), except for addresses and options.
///
/// ```
/// use heist::Runtime;
/// use heist::net::UnixStream;
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
pub type UnixStream = Socket<Unix>;

impl SocketListener<Unix> {
    /// Listens on `path`, which must not exist.
    ///
    /// A path that begins with a NUL is a name of Linux's abstract namespace. Up to 4,096
    /// connections wait for an accept, fewer if the system's limit is lower.
    ///
    /// # Errors
    ///
    /// The system's (`AddrInUse` if the file exists), and [`NoDriver`](crate::NoDriver) outside of
    /// a runtime.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&sys::unix_address(path.as_ref())?)
    }

    /// As [`bind`](UnixListener::bind), on an address of the standard library;
    /// `SocketAddr::from_abstract_name` makes one from an abstract name.
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixListener::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        UnixListener::new(sys::UnixListener::bind(address)?)
    }

    /// Takes over a listening socket, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixListener::bind).
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::new(sys::UnixListener::from_std(listener)?)
    }

    /// Gives the socket to the standard library, as [`UnixStream::into_std`] does. Pending
    /// connections stay in its backlog.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        self.duplicate().map(Into::into)
    }
}

impl Socket<Unix> {
    /// Connects to the listener at `path`; one that begins with a NUL is a name of Linux's abstract
    /// namespace.
    ///
    /// Cancel-safe: dropping the future closes the socket.
    ///
    /// # Errors
    ///
    /// The system's, and [`NoDriver`](crate::NoDriver) outside of a runtime. On Linux a listener
    /// whose backlog is full is `WouldBlock`, and no event reports room: try again later.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        operation::proceed().await;
        UnixStream::connect_now(&sys::unix_address(path.as_ref())?).await
    }

    /// As [`connect`](UnixStream::connect), to an address of the standard library.
    ///
    /// # Errors
    ///
    /// As [`connect`](UnixStream::connect).
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use heist::Runtime;
    /// use heist::net::{UnixListener, UnixStream};
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.block_on(async {
    ///     let name = format!("heist-example-{}", std::process::id());
    ///     let address = SocketAddr::from_abstract_name(name)?;
    ///     let listener = UnixListener::bind_addr(&address)?;
    ///     let mut client = UnixStream::connect_addr(&address).await?;
    ///     client.write_all(b"hello").await?;
    ///     let (mut stream, _) = listener.accept().await?;
    ///     stream.read_exact(&mut [0; 5]).await
    /// })?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        operation::proceed().await;
        UnixStream::connect_now(address).await
    }

    async fn connect_now(address: &SocketAddr) -> io::Result<UnixStream> {
        UnixStream::connected(sys::Stream::connect_unix(address)?).await
    }

    /// Makes two connected sockets.
    ///
    /// # Errors
    ///
    /// The system's, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = sys::Stream::pair_unix()?;
        Ok((UnixStream::new(one)?, UnixStream::new(other)?))
    }

    /// Takes over a connected socket, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// The system's, and [`NoDriver`](crate::NoDriver) outside of a runtime.
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        UnixStream::new(sys::Stream::from_std_unix(stream)?)
    }

    /// Gives the socket to the standard library. It stays in non-blocking mode, and its descriptor
    /// is a duplicate, with another number.
    ///
    /// # Errors
    ///
    /// The system's, if the process has no descriptor left; the connection is closed then.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.socket().duplicate().map(Into::into)
    }
}

impl From<UnixStream> for Stream {
    fn from(unix: UnixStream) -> Stream {
        Stream::of_any(unix)
    }
}
