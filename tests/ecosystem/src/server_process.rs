//! A server of another project that a test has started, in a directory of its own.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    name: String,
    /// The lines that it logs, and the end of them.
    lines: Mutex<Receiver<String>>,
    stop: Signal,
}

/// Where a server writes its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// On standard output.
    Output,
    /// On standard error.
    Error,
}

impl ServerProcess {
    /// Starts a server that logs to `log` and ends at `stop`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(mut command: Command, log: Log, stop: Signal) -> ServerProcess {
        let name = command.get_program().to_string_lossy().into_owned();
        let (output, error) = match log {
            Log::Output => (Stdio::piped(), Stdio::null()),
            Log::Error => (Stdio::null(), Stdio::piped()),
        };
        // A group of its own: a signal from the terminal ends the test, which ends the server.
        command.stdin(Stdio::null()).stdout(output).stderr(error).process_group(0);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("could not start {name}: {error}"));
        let lines = match log {
            Log::Output => lines_of(child.stdout.take()),
            Log::Error => lines_of(child.stderr.take()),
        };
        ServerProcess { child, name, lines: Mutex::new(lines), stop }
    }

    /// The first line from now on in which `wanted` is; `None` if the server ends before.
    ///
    /// # Panics
    /// If the server logs nothing for a minute.
    pub fn await_line(&self, wanted: &str) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
            match lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(wanted) => return Some(line),
                Ok(_) => {}
                Err(Disconnected) => return None,
                Err(Timeout) => panic!("{} did not log `{wanted}` in {PATIENCE:?}", self.name),
            }
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Not reaped yet, so the number is still that of the child.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, self.stop);
        }
        let _ = self.child.wait();
    }
}

/// Reads lines on a thread of its own, so that the server never waits for a reader.
fn lines_of(log: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, lines) = channel();
    let log = log.expect("the log is piped");
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // The test may have what it waited for; the log is read on all the same.
            let _ = sender.send(line);
        }
    });
    lines
}

const PATIENCE: Duration = Duration::from_secs(60);
