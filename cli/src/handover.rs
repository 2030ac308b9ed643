//! Restarting without a lost connection: listening sockets that were open before this process.
//!
//! A listening socket has a queue of connections that are not accepted yet, and closing its last
//! copy resets them all. So at least one process has a copy at any time:
//!
//! - **The service manager** keeps them, and starts the program with copies (socket activation:
//!   LISTEN_FDS, LISTEN_PID). While the program is down, the queue waits.
//! - **The process before this one** passes them on at SIGUSR2:
//!
//! ```text
//! old  Successor::start       starts the same program with the same arguments; its standard input
//!       │                     is one end of a channel that holds copies of all listening sockets
//! new  inherited              takes them out, listens on them instead of binding
//! new  Predecessor::announce_ready   when it serves: a byte on the channel
//! old  Successor::wait_ready  only now drains, and ends
//! ```
//!
//! If the new process ends, or is not ready in time, the old one ends it and keeps serving. For a
//! moment both processes accept; each connection belongs to one of them.

mod passing;
mod successor;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::time::Duration;

use heist::server::{Address, Listener};
use listenfd::ListenFd;

use passing::READY;

pub(crate) use successor::Successor;

/// Takes the listening sockets that were passed to this process; `None` if there are none.
///
/// To be called before the first thread is started: it removes LISTEN_FDS from the environment, so
/// that no child process takes the sockets for its own.
pub(crate) fn inherited() -> Result<Option<Inherited>, HandoverError> {
    match passing::receive().map_err(HandoverError::Passed)? {
        Some((sockets, channel)) => {
            let listeners = sockets.into_iter().map(Listener::from_fd).collect::<io::Result<_>>();
            let listeners = listeners.map_err(HandoverError::Passed)?;
            let predecessor = Some(Predecessor { channel });
            Ok(Some(Inherited { listeners, predecessor }))
        }
        None => {
            let listeners = activated().map_err(HandoverError::Activated)?;
            Ok((!listeners.is_empty()).then_some(Inherited { listeners, predecessor: None }))
        }
    }
}

/// What was passed to this process.
#[derive(Debug)]
pub(crate) struct Inherited {
    listeners: Vec<Listener>,
    predecessor: Option<Predecessor>,
}

impl Inherited {
    /// Finds a socket for each of `addresses`, to be used instead of binding it; `None` for
    /// addresses without one.
    ///
    /// Port 0 stands for any port: it gets a socket of its IP address that no other address claims.
    /// So a program whose port the system chose keeps that port.
    pub(crate) fn claim(&mut self, addresses: &[Address]) -> Vec<Option<Listener>> {
        let exact = addresses.iter().map(|address| self.take(|bound| bound == address));
        let mut claimed: Vec<_> = exact.collect();
        for (address, place) in addresses.iter().zip(&mut claimed) {
            if place.is_none() {
                *place = self.take(|bound| is_any_port_of(address, bound));
            }
        }
        claimed
    }

    /// The sockets that no address claimed. They were passed to be served, so they are, too.
    pub(crate) fn unclaimed(&mut self) -> Vec<Listener> {
        std::mem::take(&mut self.listeners)
    }

    /// The process that serves until this one is ready; `None` if the service manager passed the
    /// sockets, or at the second call.
    pub(crate) fn predecessor(&mut self) -> Option<Predecessor> {
        self.predecessor.take()
    }

    fn take(&mut self, wanted: impl Fn(&Address) -> bool) -> Option<Listener> {
        let index = self.listeners.iter().position(|listener| wanted(listener.address()))?;
        Some(self.listeners.remove(index))
    }
}

/// The process that passed the sockets on, and serves until this one is ready.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: UnixStream,
}

impl Predecessor {
    /// Reports that this process serves: the other one drains from now on.
    ///
    /// # Errors
    /// If the other process has ended meanwhile. This one should end then, too: a stop was meant
    /// for the service, and the service manager does not know this process.
    pub(crate) fn announce_ready(self) -> io::Result<()> {
        io::Write::write_all(&mut &self.channel, &[READY])
    }
}

/// Why sockets were not handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandoverError {
    #[error("cannot take the sockets of the process before this one: {0}")]
    Passed(#[source] io::Error),
    #[error(
        "cannot take the sockets that LISTEN_FDS announces: {0}; a service manager passes them from \
         descriptor 3 on: unset LISTEN_FDS and LISTEN_PID if there is none"
    )]
    Activated(#[source] io::Error),
    #[error("cannot start a new process: {0}")]
    Start(#[source] io::Error),
    #[error("cannot wait for the new process: {0}")]
    Wait(#[source] io::Error),
    #[error("the new process ended before it was ready ({0}); its own log says why")]
    Ended(ExitStatus),
    #[error("the new process was not ready within {0:?}, and was ended")]
    Late(Duration),
}

/// The sockets of the service manager.
fn activated() -> io::Result<Vec<Listener>> {
    let mut passed = ListenFd::from_env();
    (0..passed.len()).map(|index| Listener::from_fd(take(&mut passed, index)?)).collect()
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<OwnedFd> {
    // A socket that is no TCP listener is refused, and can still be taken.
    let taken = match passed.take_tcp_listener(index) {
        Ok(listener) => listener.map(OwnedFd::from),
        Err(_) => passed.take_unix_listener(index)?.map(OwnedFd::from),
    };
    taken.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// Whether `address` has port 0, and `bound` the same IP address.
fn is_any_port_of(address: &Address, bound: &Address) -> bool {
    match (address, bound) {
        (Address::Tcp(address), Address::Tcp(bound)) => {
            address.port() == 0 && address.ip() == bound.ip()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
