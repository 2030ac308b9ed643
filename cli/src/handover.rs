//! Restarting without a lost connection: listening sockets that were open before this process.
//!
//! A socket that listens has a queue of connections that nobody has accepted yet, and closing the
//! last copy of it resets them all. So at least one process has a copy at any time:
//!
//! - **The service manager** keeps them, and starts us with copies (socket activation: LISTEN_FDS,
//!   LISTEN_PID). While nobody runs, the queue waits.
//! - **The process before this one** passes them on, when it is told to by SIGUSR2:
//!
//! ```text
//! old  Successor::start       starts the same program with the same arguments; its standard input
//!       │                     is one end of a channel that holds copies of all listening sockets
//! new  inherited              takes them out, listens on them instead of binding
//! new  Predecessor::announce_ready   when it serves: a byte on the channel
//! old  Successor::wait_ready  only now drains, and ends
//! ```
//!
//! If the new process ends, or says nothing for long, the old one ends it and serves on as if
//! nothing had been asked. Both accept for a moment; a connection goes to either, whole.

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

/// Takes the listening sockets that somebody passed to this process; `None` if nobody did.
///
/// To be called before the first thread is started: it takes LISTEN_FDS out of the environment, so
/// that no child of ours thinks the sockets are its own.
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
    /// Finds a socket for each of `addresses`, to be used instead of binding it; `None` for those
    /// that nobody passed.
    ///
    /// Port 0 stands for any port: it gets what is left of its IP address when all others have
    /// chosen. So a program that let the system choose goes on at the port chosen then.
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

    /// The sockets that no address claimed: to be served as well, since the one who passed them
    /// wants that.
    pub(crate) fn unclaimed(&mut self) -> Vec<Listener> {
        std::mem::take(&mut self.listeners)
    }

    /// The process that serves until this one is ready; `None` if the sockets are the service
    /// manager's, or if it was asked before.
    pub(crate) fn predecessor(&mut self) -> Option<Predecessor> {
        self.predecessor.take()
    }

    fn take(&mut self, wanted: impl Fn(&Address) -> bool) -> Option<Listener> {
        let index = self.listeners.iter().position(|listener| wanted(listener.address()))?;
        Some(self.listeners.remove(index))
    }
}

/// The process that passed the sockets on, and serves until this one does.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: UnixStream,
}

impl Predecessor {
    /// Says that this process serves: the other one drains from now on.
    ///
    /// An error says that it is gone without having waited: it was stopped or killed meanwhile. As
    /// nobody else knows of this process then, it should end, too.
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
        "cannot take the sockets that LISTEN_FDS promises: {0}; a service manager passes them from \
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
    // What is no TCP socket is refused, and stays to be taken.
    let taken = match passed.take_tcp_listener(index) {
        Ok(listener) => listener.map(OwnedFd::from),
        Err(_) => passed.take_unix_listener(index)?.map(OwnedFd::from),
    };
    taken.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// Whether `address` leaves the port open, and `bound` is otherwise like it.
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
