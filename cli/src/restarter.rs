//! SIGUSR2: hands the listening sockets over to a new process of the same program.
//!
//! This has a thread of its own, so that the signals that end the program are handled while a new
//! process starts.

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

/// Starts a successor on each SIGUSR2, until one has taken over or the program ends.
pub(crate) struct Restarter {
    inbox: UnixStream,
    handover: Arc<Mutex<Handover>>,
    stopper: Arc<Stopper>,
}

/// What a successor gets.
struct Handover {
    /// Second descriptors of all listening sockets.
    listeners: Vec<OwnedFd>,
    /// The program ends: nothing is handed over any more.
    ending: bool,
}

impl Restarter {
    /// Handles the signal from now on; its default action ends the process.
    pub(crate) fn install(stopper: &Arc<Stopper>) -> io::Result<Restarter> {
        let (inbox, outbox) = UnixStream::pair()?;
        low_level::pipe::register(SIGUSR2, outbox)?;
        let handover = Arc::new(Mutex::new(Handover { listeners: Vec::new(), ending: false }));
        Ok(Restarter { inbox, handover, stopper: Arc::clone(stopper) })
    }

    /// Starts the thread that waits for the signal and hands `listeners` over: second descriptors
    /// of all listening sockets. The thread ends with the process.
    pub(crate) fn start(&self, listeners: Vec<OwnedFd>) -> io::Result<()> {
        lock(&self.handover).listeners = listeners;
        let mut inbox = self.inbox.try_clone()?;
        let (handover, stopper) = (Arc::clone(&self.handover), Arc::clone(&self.stopper));
        let run = move || {
            while wait(&mut inbox) {
                if restart(&handover) {
                    stopper.handed_over();
                    return;
                }
            }
        };
        thread::Builder::new().name("heist-restarter".to_owned()).spawn(run).map(drop)
    }

    /// Prevents further restarts, and closes the descriptors: with the server's own, the last ones.
    pub(crate) fn end(&self) {
        let mut handover = lock(&self.handover);
        handover.ending = true;
        handover.listeners.clear();
    }
}

/// Waits for the signal; several that arrived meanwhile count as one. False when there will be
/// none.
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

/// Starts a successor. Returns whether it has taken over.
fn restart(handover: &Mutex<Handover>) -> bool {
    tracing::info!("handing over to a new process");
    notify::reloading();
    let outcome = start_successor(handover).and_then(|new| new.wait_ready(PATIENCE));
    match outcome {
        Ok(successor) if lock(handover).ending => {
            // A signal to end arrived meanwhile. It is meant for the service, not for this process.
            stop(successor);
            false
        }
        Ok(successor) => {
            tracing::info!(successor, "a new process has taken over");
            notify::handed_over(successor);
            true
        }
        Err(error) => {
            tracing::error!(%error, "the handover failed; this process keeps serving");
            notify::stayed(&error.to_string());
            false
        }
    }
}

fn start_successor(handover: &Mutex<Handover>) -> Result<Successor, HandoverError> {
    let handover = lock(handover);
    let listeners: Vec<_> = handover.listeners.iter().map(AsFd::as_fd).collect();
    Successor::start(&listeners).map_err(HandoverError::Start)
}

fn stop(process: u32) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // An error means that the process has ended already.
        let _ = kill_process(pid, Signal::TERM);
    }
}

fn lock(handover: &Mutex<Handover>) -> MutexGuard<'_, Handover> {
    handover.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a new process may take until it serves.
const PATIENCE: Duration = Duration::from_secs(10);
