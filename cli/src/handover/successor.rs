//! The new process, as the old one sees it.

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
/// Dropping this kills the process and waits for its end.
#[derive(Debug)]
pub(crate) struct Successor {
    /// `None` once it has taken over.
    pub(super) child: Option<Child>,
    channel: UnixStream,
}

impl Successor {
    /// Starts the program of this process again, with the same arguments and copies of `listeners`.
    ///
    /// The file is looked up by the path that this process was started from, so it may be a newer
    /// version.
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
        // It names this process. The manager's watchdog counts for the main process, which will be
        // the new one.
        command.env_remove("WATCHDOG_PID");
        let child = command.spawn()?;
        // This drops this process's copy of the other end: from now on the channel ends with the
        // new process.
        drop(command);
        Ok(Successor { child: Some(child), channel })
    }

    /// Blocks until the new process serves, for at most `patience`, and returns its process id.
    ///
    /// # Errors
    /// If the new process does not serve; it has ended then.
    #[allow(clippy::zombie_processes, reason = "a successor outlives this process")]
    pub(crate) fn wait_ready(mut self, patience: Duration) -> Result<u32, HandoverError> {
        let report = self.listen(patience).map_err(HandoverError::Wait)?;
        let mut child = self.child.take().expect("the child is taken here alone, and self with it");
        if report == Report::Ready {
            return Ok(child.id());
        }
        // An error means that it has ended already.
        let _ = child.kill();
        let status = child.wait().map_err(HandoverError::Wait)?;
        Err(match report {
            Report::Nothing => HandoverError::Late(patience),
            Report::End | Report::Ready => HandoverError::Ended(status),
        })
    }

    fn listen(&self, patience: Duration) -> io::Result<Report> {
        let start = Instant::now();
        let mut word = [0];
        loop {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(Report::Nothing);
            }
            self.channel.set_read_timeout(Some(left))?;
            match (&self.channel).read(&mut word) {
                Ok(1) if word[0] == READY => return Ok(Report::Ready),
                Ok(_) => return Ok(Report::End),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Report::End);
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

/// What came through the channel.
#[derive(PartialEq, Eq)]
enum Report {
    Ready,
    /// The channel closed: the process ended.
    End,
    Nothing,
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// The file to start, given the path that the system reports for this process. If a newer version
/// has replaced the file, Linux marks the path as deleted, though there is a file again.
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

    /// Failure: after an upgrade the new file is not found, as the system reports the old path with
    /// a mark.
    #[test]
    fn program_that_was_replaced_is_found() {
        let replaced = PathBuf::from("/usr/bin/heist (deleted)");
        assert_eq!(program(replaced), PathBuf::from("/usr/bin/heist"));
        let here = env::current_exe().unwrap();
        assert_eq!(program(here.clone()), here);
    }
}
