//! The process that takes over.

use std::env;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::HandoverError;
use super::passing::{self, READY};

/// A process that was started to take over, and has not done so yet.
///
/// Dropping it ends that process, and waits for its end.
#[derive(Debug)]
pub(crate) struct Successor {
    /// `None` once it has taken over.
    pub(super) child: Option<Child>,
    channel: UnixStream,
}

impl Successor {
    /// Starts the program of this process again, with the same arguments and copies of `listeners`.
    ///
    /// It is looked for where this one was started from, so that it may be another version by now.
    pub(crate) fn start(listeners: &[BorrowedFd<'_>]) -> io::Result<Successor> {
        let mut command = Command::new(program(env::current_exe()?));
        command.args(env::args_os().skip(1));
        Successor::spawn(command, listeners)
    }

    pub(super) fn spawn(
        mut command: Command,
        listeners: &[BorrowedFd<'_>],
    ) -> io::Result<Successor> {
        let channel = passing::send(listeners, &mut command)?;
        // The watchdog of the service manager is told this process's id, and counts for whichever
        // process is the main one.
        command.env_remove("WATCHDOG_PID");
        let child = command.spawn()?;
        // With it goes our copy of the other end: from now on, the end of the process is the end
        // of the channel.
        drop(command);
        Ok(Successor { child: Some(child), channel })
    }

    /// Blocks until it serves, for as long as `patience`, and returns its process id. An error says
    /// that it does not, and that it has ended: go on serving.
    #[allow(clippy::zombie_processes, reason = "one that took over outlives this process")]
    pub(crate) fn wait_ready(mut self, patience: Duration) -> Result<u32, HandoverError> {
        let heard = self.listen(patience).map_err(HandoverError::Wait)?;
        let mut child = self.child.take().expect("only this takes it, and takes self with it");
        if heard == Heard::Ready {
            return Ok(child.id());
        }
        // If it has ended by itself, that changes nothing.
        let _ = child.kill();
        let status = child.wait().map_err(HandoverError::Wait)?;
        Err(match heard {
            Heard::Nothing => HandoverError::Late(patience),
            Heard::End | Heard::Ready => HandoverError::Ended(status),
        })
    }

    fn listen(&self, patience: Duration) -> io::Result<Heard> {
        let start = Instant::now();
        let mut word = [0];
        loop {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(Heard::Nothing);
            }
            self.channel.set_read_timeout(Some(left))?;
            match (&self.channel).read(&mut word) {
                Ok(1) if word[0] == READY => return Ok(Heard::Ready),
                Ok(_) => return Ok(Heard::End),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Heard::End);
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a successor let us hear.
#[derive(PartialEq, Eq)]
enum Heard {
    Ready,
    /// It closed the channel, which means that it ended.
    End,
    Nothing,
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// The file to start, given what the system says that this process was started from. Where that was
/// replaced since, by a newer version, Linux says that it is deleted and not that it is there again.
fn program(started_from: PathBuf) -> PathBuf {
    match started_from.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(path) if !started_from.exists() => {
            PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()))
        }
        _ => started_from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An upgrade puts the new file in the place of the old one; looked for by the old one's name
    /// as the system gives it, it would not be found.
    #[test]
    fn program_that_was_replaced_is_found() {
        let replaced = PathBuf::from("/usr/bin/heist (deleted)");
        assert_eq!(program(replaced), PathBuf::from("/usr/bin/heist"));
        let here = env::current_exe().unwrap();
        assert_eq!(program(here.clone()), here);
    }
}
