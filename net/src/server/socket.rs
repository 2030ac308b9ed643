//! A listening socket under a runtime.

use std::io;
use std::task::{Context, Poll};

use heist_reactor::{Direction, Interest, Kind, Source};
use heist_scheduler::Handle;
use socket2::Socket as Bound;

use super::listener::SocketFile;
use super::peer::Peer;
use crate::driver::{Driver, NoDriver};
use crate::sys;

/// A listening socket under a runtime. Dropping it takes it from the event queue and closes the
/// descriptor, and does no more to the socket: somebody else may have another descriptor of it.
pub(super) struct Socket {
    source: Source<sys::Listener>,
    // Behind the socket: the file goes when nobody listens any more.
    file: Option<SocketFile>,
}

impl Socket {
    pub(super) fn new(
        runtime: &Handle,
        bound: Bound,
        file: Option<SocketFile>,
    ) -> io::Result<Socket> {
        let driver = Driver::of(runtime).ok_or(NoDriver::NoQueue)?;
        let listener = sys::Listener::from_bound(bound)?;
        let source = driver.register(listener, Interest::Read, Kind::Other)?;
        Ok(Socket { source, file })
    }

    /// Leaves the file where it is in the end.
    pub(super) fn keep_file(&mut self) {
        if let Some(file) = &mut self.file {
            file.keep();
        }
    }

    /// Takes one connection, or stores the task's waker.
    pub(super) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(sys::Stream, Peer)>> {
        let accept = |listener: &sys::Listener| listener.accept();
        self.source
            .poll_io(Direction::Read, cx, accept)
            .map_ok(|(socket, address)| (socket, address.map_or(Peer::Unix, Peer::Tcp)))
    }
}
