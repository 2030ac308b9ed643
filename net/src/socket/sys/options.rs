//! Options that every TCP socket has, and the one that is taken back.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;

pub(super) fn set_tcp_options(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_out_of_band_inline(true)?;
    socket.set_tcp_nodelay(true)
}

#[cold]
pub(super) fn clear_linger(socket: &impl AsFd) {
    let socket = SockRef::from(socket);
    if socket.linger().is_ok_and(|time| time.is_some_and(|time| !time.is_zero())) {
        // If it fails, close waits: there is nothing better to do.
        let _ = socket.set_linger(None);
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
pub struct Exposed(AtomicBool);

impl Exposed {
    pub(super) const fn no() -> Exposed {
        Exposed(AtomicBool::new(false))
    }

    pub(super) const fn yes() -> Exposed {
        Exposed(AtomicBool::new(true))
    }

    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What holds for a connection of a listener for which this does.
    pub(super) fn inherited(&self) -> Exposed {
        Exposed(AtomicBool::new(self.is_noted()))
    }
}
