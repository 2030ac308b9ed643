//! SIGUSR2: hands the listening sockets over to a new process of the same program.
//!
//! It has a thread of its own, so that the signals that end the program are heard while a new
//! process is being waited for.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::SIGUSR2;
use signal_hook::low_level;

use crate::handover::{HandoverError, Successor};
use crate::notify;
use crate::signals::Stopper;

/// Hands over when it is told to, until it succeeds or the program ends.
pub(crate) struct Relay {
    inbox: UnixStream,
    baton: Arc<Mutex<Baton>>,
    stopper: Arc<Stopper>,
}

/// What is handed over.
struct Baton {
    /// Second descriptors of all listening sockets.
    listeners: Vec<OwnedFd>,
    /// The program ends: nothing is handed over any more.
    ending: bool,
}

impl Relay {
    /// Takes over the signal, which would end the process otherwise.
    pub(crate) fn install(stopper: &Arc<Stopper>) -> io::Result<Relay> {
        let (inbox, outbox) = UnixStream::pair()?;
        low_level::pipe::register(SIGUSR2, outbox)?;
        let baton = Arc::new(Mutex::new(Baton { listeners: Vec::new(), ending: false }));
        Ok(Relay { inbox, baton, stopper: Arc::clone(stopper) })
    }

    /// Begins to wait for the signal, to hand `listeners` over: second descriptors of all listening
    /// sockets. The thread ends with the process.
    pub(crate) fn start(&self, listeners: Vec<OwnedFd>) -> io::Result<()> {
        lock(&self.baton).listeners = listeners;
        let mut inbox = self.inbox.try_clone()?;
        let (baton, stopper) = (Arc::clone(&self.baton), Arc::clone(&self.stopper));
        let run = move || {
            while wait(&mut inbox) {
                if hand_over(&baton) {
                    stopper.handed_over();
                    return;
                }
            }
        };
        thread::Builder::new().name("heist-relay".to_owned()).spawn(run).map(drop)
    }

    /// Hands over no more, and closes the descriptors: with the server's own, the last ones.
    pub(crate) fn end(&self) {
        let mut baton = lock(&self.baton);
        baton.ending = true;
        baton.listeners.clear();
    }
}

/// Waits for the signal; several that came meanwhile are one.
fn wait(inbox: &mut UnixStream) -> bool {
    loop {
        match inbox.read(&mut [0; 64]) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Whether a new process serves in our place.
fn hand_over(baton: &Mutex<Baton>) -> bool {
    tracing::info!("handing over to a new process");
    notify::reloading();
    let outcome = start_successor(baton).and_then(|new| new.wait_ready(PATIENCE));
    match outcome {
        Ok(successor) if lock(baton).ending => {
            // We were told to end meanwhile, and that means the service.
            stop(successor);
            false
        }
        Ok(successor) => {
            tracing::info!(successor, "a new process has taken over");
            notify::handed_over(successor);
            true
        }
        Err(error) => {
            tracing::error!(%error, "serving on");
            notify::stayed(&error.to_string());
            false
        }
    }
}

fn start_successor(baton: &Mutex<Baton>) -> Result<Successor, HandoverError> {
    let baton = lock(baton);
    let listeners: Vec<_> = baton.listeners.iter().map(AsFd::as_fd).collect();
    Successor::start(&listeners).map_err(HandoverError::Start)
}

fn stop(process: u32) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // If it has ended by itself, all the better.
        let _ = kill_process(pid, Signal::TERM);
    }
}

fn lock(baton: &Mutex<Baton>) -> MutexGuard<'_, Baton> {
    baton.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a new process may take until it serves.
const PATIENCE: Duration = Duration::from_secs(10);
