//! A listening socket of a server, registered with the event queue of a runtime.

use std::io;
use std::task::{Context, Poll, ready};

use heist_reactor::{Direction, Interest, Kind, Source, uninterrupted};
use heist_scheduler::Handle;
use socket2::Socket;

use super::peer::Peer;
use super::socket_file::SocketFile;
use crate::runtime::driver::{Driver, NoDriver};
use crate::runtime::operation;
use crate::socket::sys;

/// A listening socket that is registered with an event queue. Dropping it deregisters it and closes
/// the descriptor, and does no more to the socket: another process may have another descriptor of
/// it.
pub(crate) struct RegisteredListener {
    // Before the socket, so that the file is removed while the socket listens.
    file: Option<SocketFile>,
    source: Source<sys::Listener>,
    /// A connection was pending behind the one that was accepted last.
    crowded: bool,
}

impl RegisteredListener {
    pub(crate) fn new(
        runtime: &Handle,
        bound: Socket,
        file: Option<SocketFile>,
    ) -> io::Result<RegisteredListener> {
        let driver = Driver::of(runtime).ok_or(NoDriver::NoQueue)?;
        let listener = sys::Listener::from_bound(bound)?;
        let source = driver.attach(listener, Interest::Read, Kind::Other)?;
        Ok(RegisteredListener { file, source, crowded: false })
    }

    /// Keeps the file when this is dropped.
    pub(crate) fn keep_file(&mut self) {
        if let Some(file) = &mut self.file {
            file.keep();
        }
    }

    /// Takes one connection, or stores the task's waker.
    ///
    /// While connections come one at a time, it asks whether another is pending instead of trying
    /// to accept; in a crowd it accepts until none is pending.
    pub(crate) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(sys::Stream, Peer)>> {
        loop {
            let drain =
                ready!(operation::until_shutdown(self.source.poll_drain(Direction::Read, cx)))?;
            match uninterrupted(|| self.source.io().accept()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.crowded = false;
                    drain.drained();
                }
                Err(error) => return Poll::Ready(Err(error)),
                Ok((socket, address)) => {
                    self.crowded = self.crowded || sys::has_pending_connection(self.source.io());
                    if !self.crowded {
                        drain.drained();
                    }
                    return Poll::Ready(Ok((socket, address.map_or(Peer::Unix, Peer::Tcp))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use crate::socket::sys;

    #[test]
    fn connection_is_pending_until_the_last_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!sys::has_pending_connection(&listener));
        let address = listener.local_addr().unwrap();
        let _clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        for _ in 0..2 {
            assert!(sys::has_pending_connection(&listener));
            listener.accept().unwrap();
        }
        assert!(!sys::has_pending_connection(&listener));
    }
}
