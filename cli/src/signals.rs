//! The signals that end the program: the first one drains the server, the second one ends the
//! process.
//!
//! The main thread only waits for them, in a plain `read`. So a signal takes effect even while
//! every worker is stuck, without a thread of its own. The signals that do not end the program are
//! in [`notices`](crate::notices) and [`restarter`](crate::restarter).

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::{flag, low_level};

/// Waits for the reason to stop.
pub(crate) struct Signals {
    inbox: UnixStream,
}

/// Stops the server from inside the program.
#[derive(Debug)]
pub(crate) struct Stopper {
    outbox: UnixStream,
}

/// Why the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// One of the signals arrived.
    Signal,
    /// A listener can no longer accept.
    ListenerFailed,
    /// Another process has taken over.
    HandedOver,
}

impl Signals {
    /// Handles SIGINT, SIGQUIT and SIGTERM from now on. The second signal, of whichever kind, ends
    /// the process at once from inside its handler, with the exit code that a shell gives to a
    /// process killed by it.
    pub(crate) fn install() -> io::Result<(Signals, Stopper)> {
        let (inbox, outbox) = UnixStream::pair()?;
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGQUIT, SIGTERM] {
            // In this order: the first signal must find the flag unset.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
            low_level::pipe::register(signal, outbox.try_clone()?)?;
        }
        Ok((Signals { inbox }, Stopper { outbox }))
    }

    /// Blocks until there is a reason to stop.
    pub(crate) fn wait(&mut self) -> Stop {
        let mut byte = [0];
        loop {
            match self.inbox.read(&mut byte) {
                Ok(1) if byte[0] == LISTENER_FAILED => return Stop::ListenerFailed,
                Ok(1) if byte[0] == HANDED_OVER => return Stop::HandedOver,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The pipe cannot end or fail while the handlers hold its other end; if it does,
                // serving without a way to stop would be worse.
                Ok(_) | Err(_) => return Stop::Signal,
            }
        }
    }
}

impl Stopper {
    /// Stops the server because a listener failed.
    pub(crate) fn listener_failed(&self) {
        self.send(LISTENER_FAILED);
    }

    /// Stops the server because another process serves in its place.
    pub(crate) fn handed_over(&self) {
        self.send(HANDED_OVER);
    }

    fn send(&self, why: u8) {
        // A full pipe holds a reason to stop already.
        let _ = (&self.outbox).write(&[why]);
    }
}

/// Both differ from the `X` that the signal handlers write.
const LISTENER_FAILED: u8 = b'L';
const HANDED_OVER: u8 = b'H';
