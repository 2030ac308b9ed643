//! The signals that end the program: the first one asks the server to end, the second one ends it.
//!
//! The main thread does nothing else than wait for them, in a plain `read`. So a signal is seen
//! even when every worker is stuck, and needs no thread of its own. The signals that do not end the
//! program are in [`notices`](crate::notices) and [`relay`](crate::relay).

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

/// Makes the server stop from inside.
#[derive(Debug)]
pub(crate) struct Stopper {
    outbox: UnixStream,
}

/// Why the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody asked for it.
    Signal,
    /// A listener can no longer accept.
    ListenerFailed,
    /// Another process serves in our place.
    HandedOver,
}

impl Signals {
    /// Takes over SIGINT, SIGQUIT and SIGTERM. The second of them, whichever, ends the process at
    /// once from inside its handler, with the exit code that a shell gives to a process killed by it.
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
                // serving on without a way to stop would be worse.
                Ok(_) | Err(_) => return Stop::Signal,
            }
        }
    }
}

impl Stopper {
    /// Stops the server because a listener failed.
    pub(crate) fn listener_failed(&self) {
        self.tell(LISTENER_FAILED);
    }

    /// Stops the server because another process serves in its place.
    pub(crate) fn handed_over(&self) {
        self.tell(HANDED_OVER);
    }

    fn tell(&self, why: u8) {
        // A full pipe holds a reason to stop already.
        let _ = (&self.outbox).write(&[why]);
    }
}

/// Unlike the `X` that the signal handlers write.
const LISTENER_FAILED: u8 = b'L';
const HANDED_OVER: u8 = b'H';
