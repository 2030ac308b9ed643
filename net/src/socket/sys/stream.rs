//! A connected socket of the system.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix;

use heist_reactor::Kind;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::SockRef;

use super::options::{Exposed, clear_linger, set_tcp_options};
use crate::socket::vectored;

/// A connected, or connecting, stream socket.
pub enum Stream {
    Tcp(mio::net::TcpStream, Exposed),
    Unix(mio::net::UnixStream),
}

impl Stream {
    /// Begins to connect to `address`; the socket becomes writable when that has an outcome.
    pub(crate) fn connect_tcp(address: SocketAddr) -> io::Result<Stream> {
        Stream::tcp(mio::net::TcpStream::connect(address)?, Exposed::no())
    }

    /// Takes over a socket that was made elsewhere.
    pub(crate) fn from_std_tcp(stream: std::net::TcpStream) -> io::Result<Stream> {
        stream.set_nonblocking(true)?;
        Stream::tcp(mio::net::TcpStream::from_std(stream), Exposed::yes())
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

    /// Takes over a socket that is not blocking, has the options of TCP sockets, and has begun to
    /// connect.
    pub(crate) fn from_prepared(socket: socket2::Socket) -> Stream {
        let socket = mio::net::TcpStream::from_std(socket.into());
        Stream::Tcp(socket, Exposed::yes())
    }

    fn tcp(stream: mio::net::TcpStream, exposed: Exposed) -> io::Result<Stream> {
        set_tcp_options(&stream)?;
        Ok(Stream::Tcp(stream, exposed))
    }

    /// The descriptor, for code that may do anything to the socket.
    pub(crate) fn lend(&self) -> BorrowedFd<'_> {
        if let Stream::Tcp(_, exposed) = self {
            exposed.set();
        }
        self.as_fd()
    }

    /// A second descriptor of the socket, for code outside of this crate, which may set
    /// `SO_LINGER` as it likes: closing this one leaves the socket open.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        let duplicate = self.as_fd().try_clone_to_owned()?;
        if let Stream::Tcp(_, exposed) = self {
            exposed.clear();
        }
        Ok(duplicate)
    }

    /// The rule by which a read proves the socket drained.
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

    /// Reads into uninitialized memory; returns the length of the front that is initialized now.
    #[cfg_attr(not(any(feature = "hyper", feature = "tokio-io")), allow(dead_code))]
    pub(crate) fn read_uninit(&self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let ((read, _), _) = rustix::net::recv(self, buffer, RecvFlags::empty())?;
        Ok(read.len())
    }

    /// Reads into several buffers, at most as many as [`vectored`](crate::socket::vectored) passes
    /// on.
    pub(crate) fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(rustix::io::readv(self, buffers)?)
    }

    /// Copies the next bytes and leaves them in the socket.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (peeked, _) = rustix::net::recv(self, buffer, RecvFlags::PEEK)?;
        Ok(peeked)
    }

    #[inline]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self, bytes, SendFlags::NOSIGNAL)?)
    }

    /// Writes the last bytes. The caller shuts the direction down or closes the socket at once, so
    /// that the end goes out in one packet with them.
    pub(crate) fn write_last(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self, bytes, LAST)?)
    }

    /// Writes from several buffers, at most as many as [`vectored`](crate::socket::vectored) passes
    /// on. Few bytes are copied into one buffer: that takes less time than the system's copy of the list.
    pub(crate) fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [buffer] = buffers {
            return self.write(buffer);
        }
        let mut memory = [0; FEW_BYTES];
        if let Some(bytes) = vectored::gathered(buffers, &mut memory) {
            return self.write(bytes);
        }
        // `writev` would raise SIGPIPE where the peer has gone.
        let mut control = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(self, buffers, &mut control, SendFlags::NOSIGNAL)?)
    }

    /// Shuts one or both directions down. A connection that has ended already is no error.
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

    /// The socket's pending error (`SO_ERROR`), which this clears.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Stream::Tcp(stream, _) => stream.take_error(),
            Stream::Unix(stream) => stream.take_error(),
        }
    }

    /// Whether the socket has a peer. Readiness does not prove it: a socket that has not begun to
    /// connect is reported as writable.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        match rustix::net::getpeername(self) {
            Ok(_) => Ok(true),
            Err(Errno::NOTCONN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The options of the socket that have no method here.
    pub(crate) fn options(&self) -> SockRef<'_> {
        SockRef::from(self)
    }

    /// The name of the family in messages.
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

/// `SO_LINGER` with a time above zero makes `close` wait for the peer, also on a non-blocking
/// socket. A worker must not wait, so the option is taken back, and the kernel sends the remaining
/// bytes after the close as it does without it. A time of zero, which asks for a reset, stays.
impl Drop for Stream {
    #[inline]
    fn drop(&mut self) {
        if let Stream::Tcp(socket, exposed) = self
            && exposed.is_set()
        {
            clear_linger(socket);
        }
    }
}

/// Announces that more follows: here only the end. Where the system has no such flag, the end takes
/// a packet of its own.
#[cfg(target_os = "linux")]
const LAST: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::MORE);
#[cfg(not(target_os = "linux"))]
const LAST: SendFlags = SendFlags::NOSIGNAL;

/// Up to this many bytes of several buffers are copied: the head of an answer and a small body.
const FEW_BYTES: usize = 1024;
