//! A socket that accepts connections: one type for all families.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll, ready};

use heist_reactor::{Direction, Interest, Kind, Source};
use heist_scheduler::coop;

use crate::runtime::driver;
use crate::runtime::operation::{self, restore_if_pending};
use crate::socket::family::Family;
use crate::socket::stream::Socket;
use crate::socket::sys;
use crate::socket::sys::Accept;

/// A socket that accepts connections: a [`TcpListener`](crate::TcpListener) or a
/// [`UnixListener`](crate::UnixListener).
///
/// Options of the socket are set through [`AsFd`]: with the crate `socket2`,
/// `SockRef::from(&listener)`. Accepted sockets inherit most of them.
pub struct SocketListener<F: Family> {
    source: Source<F::Listener>,
}

impl<F: Family> SocketListener<F> {
    /// Registers a listening socket with the current runtime's event queue.
    pub(crate) fn new(listener: F::Listener) -> io::Result<SocketListener<F>> {
        let source = driver::attach(listener, Interest::Read, Kind::Other)?;
        Ok(SocketListener { source })
    }

    /// Waits for the next connection and takes it. Spends one unit of the poll's budget.
    ///
    /// Any number of tasks may wait at once: a connection wakes one of them. A woken task that
    /// drops the future wakes the next one.
    ///
    /// Cancel-safe: a connection is taken only when the future completes.
    ///
    /// # Errors
    ///
    /// The system's, unchanged: [`accept_error_kind`](crate::accept_error_kind) tells errors of one
    /// connection from errors of the listener.
    pub async fn accept(&self) -> io::Result<(Socket<F>, F::Address)> {
        let mut waiter = self.source.waiter(Direction::Read);
        let accepted = poll_fn(|cx| {
            ready!(coop::poll_proceed(cx));
            restore_if_pending(operation::until_shutdown(
                waiter.poll_io(cx, |listener| listener.accept()),
            ))
        });
        operation::outcome_until_shutdown(connected(accepted.await)).await
    }

    /// Takes one connection, or stores the task's waker. Spends one unit of the poll's budget.
    ///
    /// To take all pending connections, call it until it is pending. A connection wakes every task
    /// that waits by this, even one that lost interest, and one of those that wait in
    /// [`accept`](Self::accept).
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket<F>, F::Address)>> {
        ready!(coop::poll_proceed(cx));
        let accepted = self.source.poll_io(Direction::Read, cx, |listener| listener.accept());
        restore_if_pending(operation::until_shutdown(accepted.map(connected)))
    }

    /// A second descriptor of the socket.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.source.io().as_fd().try_clone_to_owned()
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<F::Address> {
        self.source.io().local()
    }
}

fn connected<F: Family>(
    accepted: io::Result<(sys::Stream, F::Address)>,
) -> io::Result<(Socket<F>, F::Address)> {
    let (socket, peer) = accepted?;
    Ok((Socket::new(socket)?, peer))
}

impl<F: Family> AsFd for SocketListener<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.io().lend()
    }
}

impl<F: Family> AsRawFd for SocketListener<F> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<F: Family> fmt::Debug for SocketListener<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketListener").field("local", &self.local_addr().ok()).finish()
    }
}
