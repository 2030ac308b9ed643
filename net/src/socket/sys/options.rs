//! Options that every TCP socket has, and the one that is taken back.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;

/// Sets the options that every TCP socket of this crate has.
pub(crate) fn set_tcp_options(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_out_of_band_inline(true)?;
    socket.set_tcp_nodelay(true)
}

/// Takes `SO_LINGER` back if it has a time above zero.
#[cold]
pub(super) fn clear_linger(socket: &impl AsFd) {
    let socket = SockRef::from(socket);
    if socket.linger().is_ok_and(|time| time.is_some_and(|time| !time.is_zero())) {
        // If it fails, the close waits. There is no better way out.
        let _ = socket.set_linger(None);
    }
}

/// Whether code outside of this crate may have set options of a TCP socket, so that `SO_LINGER`
/// must be read before the socket is closed. Other sockets are spared the system call.
///
/// | value | meaning | set by | cleared by |
/// |---|---|---|---|
/// | `true` | the descriptor was lent, or the socket was made elsewhere | `lend`, `from_std`, `from_prepared` | `duplicate`: the socket stays open behind this descriptor |
///
/// Read when a stream is dropped and when a listener has accepted.
///
/// Relaxed everywhere, since other orders already hold: the drop of a stream comes after every
/// other use of it, by ownership; the accept of a connection that inherits a listener's option
/// comes after the call that set the option, by the kernel's lock of that socket, and that call
/// after the descriptor was lent.
#[derive(Debug)]
pub struct Exposed(AtomicBool);

impl Exposed {
    /// No other code has had the socket.
    pub(super) const fn no() -> Exposed {
        Exposed(AtomicBool::new(false))
    }

    /// The socket was made elsewhere.
    pub(super) const fn yes() -> Exposed {
        Exposed(AtomicBool::new(true))
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Another descriptor keeps the socket open: closing this one does not wait.
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag for a connection that a listener with this flag has accepted.
    pub(super) fn inherited(&self) -> Exposed {
        Exposed(AtomicBool::new(self.is_set()))
    }
}
