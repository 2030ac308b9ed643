//! The only place that touches the operating system's sockets.
//!
//! What a backing socket must do:
//! - every call returns at once: `WouldBlock` where it would have waited, `Interrupted` where a
//!   signal came first;
//! - a write to a peer that has gone is an error, and never a signal;
//! - a TCP socket has `SO_OOBINLINE` set, or a byte of urgent data would end a read early and
//!   strand what follows it (the short-read rule counts on this), and `TCP_NODELAY`, since the
//!   callers batch;
//! - closing it never waits, whatever `SO_LINGER` says;
//! - a listener is set up once: on Linux an accepted socket inherits both options, so accepting
//!   costs one system call.
//!
//! A further kind of socket (a simulated one) becomes a variant here and changes nothing outside.

use std::borrow::Cow;
#[cfg(target_os = "linux")]
use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix;
use std::os::unix::ffi::OsStrExt;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use heist_reactor::Kind;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

/// A connected, or connecting, stream socket.
pub enum Stream {
    Tcp(mio::net::TcpStream, Foreign),
    Unix(mio::net::UnixStream),
}

impl Stream {
    /// Begins to connect to `address`; the socket becomes writable when that has an outcome.
    pub(crate) fn connect_tcp(address: SocketAddr) -> io::Result<Stream> {
        Stream::tcp(mio::net::TcpStream::connect(address)?, Foreign::no())
    }

    /// Takes over a socket that was made elsewhere.
    pub(crate) fn from_std_tcp(stream: std::net::TcpStream) -> io::Result<Stream> {
        stream.set_nonblocking(true)?;
        Stream::tcp(mio::net::TcpStream::from_std(stream), Foreign::yes())
    }

    pub(crate) fn connect_unix(address: &unix::net::SocketAddr) -> io::Result<Stream> {
        Ok(Stream::Unix(mio::net::UnixStream::connect_addr(address)?))
    }

    pub(crate) fn pair_unix() -> io::Result<(Stream, Stream)> {
        let (one, other) = mio::net::UnixStream::pair()?;
        Ok((Stream::Unix(one), Stream::Unix(other)))
    }

    pub(crate) fn from_std_unix(stream: unix::net::UnixStream) -> io::Result<Stream> {
        stream.set_nonblocking(true)?;
        Ok(Stream::Unix(mio::net::UnixStream::from_std(stream)))
    }

    fn tcp(stream: mio::net::TcpStream, foreign: Foreign) -> io::Result<Stream> {
        set_tcp_options(&stream)?;
        Ok(Stream::Tcp(stream, foreign))
    }

    /// The descriptor, for code that may do anything to the socket.
    pub(crate) fn lend(&self) -> BorrowedFd<'_> {
        if let Stream::Tcp(_, foreign) = self {
            foreign.note();
        }
        self.as_fd()
    }

    /// Which rule tells that the socket is drained.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Stream::Tcp(..) => Kind::Stream,
            // Ancillary data ends a read of a Unix socket early, with bytes still behind it.
            Stream::Unix(_) => Kind::Other,
        }
    }

    #[inline]
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (read, _) = rustix::net::recv(self, buffer, RecvFlags::empty())?;
        Ok(read)
    }

    /// Reads into memory that was never written, and returns how much of its front now is.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code))]
    pub(crate) fn read_uninit(&self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let ((read, _), _) = rustix::net::recv(self, buffer, RecvFlags::empty())?;
        Ok(read.len())
    }

    /// Reads into at most as many buffers as [`buffers`](crate::socket::buffers) says.
    pub(crate) fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(rustix::io::readv(self, buffers)?)
    }

    /// Looks at the next bytes and leaves them in the socket.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (peeked, _) = rustix::net::recv(self, buffer, RecvFlags::PEEK)?;
        Ok(peeked)
    }

    #[inline]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self, bytes, SendFlags::NOSIGNAL)?)
    }

    /// Writes the last bytes: behind them the direction will be shut down or the socket closed at
    /// once, so that the end travels in one packet with them.
    pub(crate) fn write_last(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self, bytes, LAST)?)
    }

    /// Writes from at most as many buffers as [`buffers`](crate::socket::buffers) says.
    pub(crate) fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        // `writev` would raise SIGPIPE where the peer has gone.
        let mut control = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(self, buffers, &mut control, SendFlags::NOSIGNAL)?)
    }

    /// Shuts one or both directions down. A peer that is gone already is no error: there is nothing
    /// left to shut.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let outcome = match self {
            Stream::Tcp(stream, _) => stream.shutdown(how),
            Stream::Unix(stream) => stream.shutdown(how),
        };
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            outcome => outcome,
        }
    }

    /// The error that the kernel keeps for the socket (`SO_ERROR`), which this clears.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Stream::Tcp(stream, _) => stream.take_error(),
            Stream::Unix(stream) => stream.take_error(),
        }
    }

    /// Whether the socket has a peer. Readiness alone does not say so: a socket that has not begun
    /// to connect reports itself writable.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        match rustix::net::getpeername(self) {
            Ok(_) => Ok(true),
            Err(Errno::NOTCONN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Options of the socket that have no business of their own here.
    pub(crate) fn options(&self) -> SockRef<'_> {
        SockRef::from(self)
    }

    /// What it is called in messages.
    pub(crate) fn family(&self) -> &'static str {
        match self {
            Stream::Tcp(..) => "Tcp",
            Stream::Unix(_) => "Unix",
        }
    }

    pub(crate) fn unix_peer(&self) -> io::Result<unix::net::SocketAddr> {
        match self {
            Stream::Unix(stream) => stream.peer_addr(),
            Stream::Tcp(..) => Err(Errno::AFNOSUPPORT.into()),
        }
    }

    pub(crate) fn unix_local(&self) -> io::Result<unix::net::SocketAddr> {
        match self {
            Stream::Unix(stream) => stream.local_addr(),
            Stream::Tcp(..) => Err(Errno::AFNOSUPPORT.into()),
        }
    }

    pub(crate) fn tcp_peer(&self) -> io::Result<SocketAddr> {
        match self {
            Stream::Tcp(stream, _) => stream.peer_addr(),
            Stream::Unix(_) => Err(Errno::AFNOSUPPORT.into()),
        }
    }

    pub(crate) fn tcp_local(&self) -> io::Result<SocketAddr> {
        match self {
            Stream::Tcp(stream, _) => stream.local_addr(),
            Stream::Unix(_) => Err(Errno::AFNOSUPPORT.into()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream, _) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

/// `SO_LINGER` with a time above zero does one thing: it has `close` wait for the peer, also on a
/// non-blocking socket. A worker must not wait, so it takes the option back, and the kernel sends what is
/// left behind the close as it does otherwise. A time of zero, which asks for a reset, stays.
impl Drop for Stream {
    #[inline]
    fn drop(&mut self) {
        if let Stream::Tcp(socket, foreign) = self
            && foreign.is_noted()
        {
            forget_linger(socket);
        }
    }
}

/// Whether code outside of this crate may have set options of a TCP socket, so that they must be looked
/// at. No other socket costs a system call for it.
///
/// Set by whatever lends the descriptor, or takes over a socket that was made elsewhere; never cleared;
/// read when a stream is dropped and when a listener has accepted.
///
/// Relaxed: what drops a stream comes after all other uses of it, by the rules of ownership. What accepts
/// a connection with a listener's option comes after the call that set it, by the kernel's lock of that
/// socket, and that call after the descriptor was lent.
#[derive(Debug)]
pub struct Foreign(AtomicBool);

impl Foreign {
    const fn no() -> Foreign {
        Foreign(AtomicBool::new(false))
    }

    const fn yes() -> Foreign {
        Foreign(AtomicBool::new(true))
    }

    fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What holds for a connection of a listener for which this does.
    fn inherited(&self) -> Foreign {
        Foreign(AtomicBool::new(self.is_noted()))
    }
}

#[cold]
fn forget_linger(socket: &impl AsFd) {
    let socket = SockRef::from(socket);
    if socket.linger().is_ok_and(|time| time.is_some_and(|time| !time.is_zero())) {
        // If it fails, close waits: there is nothing better to do.
        let _ = socket.set_linger(None);
    }
}

/// A socket that accepts.
pub trait Accept: AsFd {
    /// What the family's addresses are.
    type Address;

    /// Takes one connection, and says whose it is.
    fn accept(&self) -> io::Result<(Stream, Self::Address)>;

    /// Where it listens.
    fn local(&self) -> io::Result<Self::Address>;

    /// The descriptor, for code that may do anything to the socket.
    fn lend(&self) -> BorrowedFd<'_>;
}

/// A TCP socket that accepts.
pub struct TcpListener(mio::net::TcpListener, Foreign);

impl TcpListener {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::new(socket.into(), Foreign::no())
    }

    pub(crate) fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::new(listener, Foreign::yes())
    }

    fn new(listener: std::net::TcpListener, foreign: Foreign) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        set_tcp_options(&listener)?;
        Ok(TcpListener(mio::net::TcpListener::from_std(listener), foreign))
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
        self.1.note();
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
    /// Takes over a socket that listens. `SO_LINGER` with a time is taken back.
    pub(crate) fn from_bound(socket: socket2::Socket) -> io::Result<Listener> {
        match socket.domain()? {
            Domain::UNIX => UnixListener::from_std(socket.into()).map(Listener::Unix),
            _ => {
                // Once, so that a server's connections need not be looked at one by one.
                forget_linger(&socket);
                TcpListener::new(socket.into(), Foreign::no()).map(Listener::Tcp)
            }
        }
    }

    /// Takes one connection; the address of its peer, unless that is a process of this machine.
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

/// The address of `path`, which is a name of the abstract namespace if it begins with a NUL.
pub(crate) fn unix_address(path: &Path) -> io::Result<unix::net::SocketAddr> {
    match path.as_os_str().as_bytes() {
        [0, name @ ..] => abstract_address(name),
        _ => unix::net::SocketAddr::from_pathname(path),
    }
}

/// The address of a name in the abstract namespace.
#[cfg(target_os = "linux")]
pub(crate) fn abstract_address(name: &[u8]) -> io::Result<unix::net::SocketAddr> {
    unix::net::SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn abstract_address(_name: &[u8]) -> io::Result<unix::net::SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract names of sockets"))
}

/// The reverse of [`unix_address`]; empty for an address without a name.
pub(crate) fn unix_path(address: &unix::net::SocketAddr) -> Cow<'_, Path> {
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_abstract_name() {
        let bytes = [b"\0", name].concat();
        return PathBuf::from(OsString::from_vec(bytes)).into();
    }
    address.as_pathname().unwrap_or(Path::new("")).into()
}

/// Whether another connection waits at `listener`. This costs a fraction of an accept that finds
/// none, for which Linux makes a socket first.
pub(crate) fn somebody_waits(listener: &impl AsFd) -> bool {
    let mut listener = [PollFd::new(listener, PollFlags::IN)];
    // After an error the accept that follows will say what is wrong.
    rustix::event::poll(&mut listener, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
}

fn set_tcp_options(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_out_of_band_inline(true)?;
    socket.set_tcp_nodelay(true)
}

/// How many connections wait for an accept. The kernel lowers it to its own bound
/// (`net.core.somaxconn`, 4,096 since Linux 5.4).
pub(crate) const BACKLOG: i32 = 4096;

/// More is to come: only the end, here. Where the system cannot be told, the end takes a packet.
#[cfg(target_os = "linux")]
const LAST: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::MORE);
#[cfg(not(target_os = "linux"))]
const LAST: SendFlags = SendFlags::NOSIGNAL;
