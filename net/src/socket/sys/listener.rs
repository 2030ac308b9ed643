//! A listening socket of the system.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix;

use rustix::event::PollFlags;
use socket2::{Domain, SockAddr, Socket, Type};

use super::options::{Exposed, clear_linger, set_tcp_options};
use super::ready::events_now;
use super::stream::Stream;
use super::unix_address::unix_path;

/// A socket that accepts.
pub trait Accept: AsFd {
    /// The addresses of the family.
    type Address;

    /// Takes one connection; returns it with the address of its peer.
    fn accept(&self) -> io::Result<(Stream, Self::Address)>;

    /// The address that it listens on.
    fn local(&self) -> io::Result<Self::Address>;

    /// The descriptor, for code that may do anything to the socket.
    fn lend(&self) -> BorrowedFd<'_>;
}

/// A TCP socket that accepts.
pub struct TcpListener(mio::net::TcpListener, Exposed);

impl TcpListener {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::new(socket.into(), Exposed::no())
    }

    pub(crate) fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::new(listener, Exposed::yes())
    }

    /// Takes over a socket that has the options of TCP sockets.
    pub(crate) fn from_prepared(socket: Socket) -> io::Result<TcpListener> {
        socket.set_nonblocking(true)?;
        let listener = mio::net::TcpListener::from_std(socket.into());
        Ok(TcpListener(listener, Exposed::yes()))
    }

    fn new(listener: std::net::TcpListener, exposed: Exposed) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        set_tcp_options(&listener)?;
        Ok(TcpListener(mio::net::TcpListener::from_std(listener), exposed))
    }
}

impl Accept for TcpListener {
    type Address = SocketAddr;

    fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer) = self.0.accept()?;
        // Elsewhere the options are not inherited.
        #[cfg(not(target_os = "linux"))]
        set_tcp_options(&stream)?;
        Ok((Stream::Tcp(stream, self.1.inherited()), peer))
    }

    fn local(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn lend(&self) -> BorrowedFd<'_> {
        self.1.set();
        self.as_fd()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A Unix socket that accepts.
pub struct UnixListener(mio::net::UnixListener);

impl UnixListener {
    pub(crate) fn bind(address: &unix::net::SocketAddr) -> io::Result<UnixListener> {
        UnixListener::from_std(bind_unix(address)?.into())
    }

    pub(crate) fn from_std(listener: unix::net::UnixListener) -> io::Result<UnixListener> {
        listener.set_nonblocking(true)?;
        Ok(UnixListener(mio::net::UnixListener::from_std(listener)))
    }
}

impl Accept for UnixListener {
    type Address = unix::net::SocketAddr;

    fn accept(&self) -> io::Result<(Stream, unix::net::SocketAddr)> {
        let (stream, peer) = self.0.accept()?;
        Ok((Stream::Unix(stream), peer))
    }

    fn local(&self) -> io::Result<unix::net::SocketAddr> {
        self.0.local_addr()
    }

    fn lend(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket that accepts, of either family.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Takes over a listening socket. `SO_LINGER` with a time is taken back.
    pub(crate) fn from_bound(socket: socket2::Socket) -> io::Result<Listener> {
        match socket.domain()? {
            Domain::UNIX => UnixListener::from_std(socket.into()).map(Listener::Unix),
            _ => {
                // Once here, so that no connection of a server needs it.
                clear_linger(&socket);
                TcpListener::new(socket.into(), Exposed::no()).map(Listener::Tcp)
            }
        }
    }

    /// Takes one connection; returns it with the address of its peer, none for a Unix socket.
    pub(crate) fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Listener::Tcp(listener) => listener.accept().map(|(stream, peer)| (stream, Some(peer))),
            Listener::Unix(listener) => listener.accept().map(|(stream, _)| (stream, None)),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener) => listener.as_fd(),
        }
    }
}

/// A Unix socket that listens on `address`, in blocking mode.
pub(crate) fn bind_unix(address: &unix::net::SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(unix_path(address))?)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Whether a connection is pending at `listener`. This costs a fraction of an accept that finds
/// none, for which Linux makes a socket first.
pub(crate) fn has_pending_connection(listener: &impl AsFd) -> bool {
    // Yes after an error: the accept that follows returns it.
    events_now(listener, PollFlags::IN).map_or(true, |events| !events.is_empty())
}

/// The number of connections that may wait for an accept. The kernel lowers it to its own limit
/// (`net.core.somaxconn`, 4,096 since Linux 5.4).
pub(crate) const BACKLOG: i32 = 4096;
