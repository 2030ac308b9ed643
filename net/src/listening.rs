//! A socket that accepts connections: one type for all families.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};

use heist_reactor::{Direction, Interest, Kind, Source};

use crate::driver;
use crate::family::Family;
use crate::stream::Connected;
use crate::sys::Accept;

/// A socket that accepts connections: a [`TcpListener`](crate::TcpListener) or a
/// [`UnixListener`](crate::UnixListener).
///
/// Options of the socket are set through [`AsFd`]: with the crate `socket2`,
/// `SockRef::from(&listener)`. Accepted sockets inherit most of them.
pub struct Listening<F: Family> {
    source: Source<F::Listener>,
}

impl<F: Family> Listening<F> {
    /// Takes a listening socket under the current runtime's event queue.
    pub(crate) fn new(listener: F::Listener) -> io::Result<Listening<F>> {
        let source = driver::attach(listener, Interest::Read, Kind::Other)?;
        Ok(Listening { source })
    }

    /// Waits for the next connection, and takes it.
    ///
    /// Cancel-safe: a connection is taken only when the future completes.
    ///
    /// # Errors
    ///
    /// The system's, as they are: [`accept_error_kind`](crate::accept_error_kind) tells those that
    /// concern one connection from those that concern the listener.
    pub async fn accept(&self) -> io::Result<(Connected<F>, F::Address)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Takes one connection, or stores the task's waker. Only the task that polled last is woken.
    ///
    /// To take all that wait, call it until it is pending.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Connected<F>, F::Address)>> {
        let accepted = self.source.poll_io(Direction::Read, cx, |listener| listener.accept());
        driver::open(accepted.map(|accepted| {
            let (socket, peer) = accepted?;
            Ok((Connected::new(socket)?, peer))
        }))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<F::Address> {
        self.source.io().local()
    }
}

impl<F: Family> AsFd for Listening<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.io().as_fd()
    }
}

impl<F: Family> AsRawFd for Listening<F> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<F: Family> fmt::Debug for Listening<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("local", &self.local_addr().ok()).finish()
    }
}
