//! What the service manager is told: ready, stopping, another process took over, still alive.
//!
//! Without a manager (NOTIFY_SOCKET unset) all of this does nothing. What cannot be told is logged:
//! a manager that does not listen is no reason to stop serving.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};

use heist::{Handle, task};
use sd_notify::NotifyState;

/// Says that the server serves.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that the server drains, to end. Not to be said by a process that another one took over from:
/// the service goes on.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that a new process is being started to take over. [`handed_over`] or [`stayed`] must follow.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the clock for the service manager"),
    }
}

/// Says that `successor`, a process id, serves, and is the main process from now on.
///
/// The old process says it, since the manager believes nobody but the main one. It is a sign of life
/// as well, so that the new one has a whole interval for its first.
pub(crate) fn handed_over(successor: u32) {
    let main = NotifyState::MainPid(successor);
    tell(&[main, NotifyState::Ready, NotifyState::Watchdog]);
}

/// Says that no other process took over, and why: this one serves on.
pub(crate) fn stayed(why: &str) {
    let status = format!("hand-over failed: {}", why.replace('\n', " "));
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Tells the manager, twice in the interval that it asks for, that the runtime is alive.
///
/// It says so only when a task spawned for the purpose has run. So a process whose workers are all
/// stuck is silent, and the manager restarts it. Dropping this ends it; do so after the runtime was
/// shut down, so that a drain that takes long is not taken for death.
#[derive(Debug)]
pub(crate) struct Watchdog {
    inbox: Sender<Said>,
    thread: Option<JoinHandle<()>>,
}

/// What the watchdog's thread is told.
enum Said {
    /// By the task: the runtime runs.
    Alive,
    /// By the owner: it is enough.
    End,
}

impl Watchdog {
    /// Starts it if the service manager wants one (WATCHDOG_USEC).
    pub(crate) fn start(runtime: &Handle) -> io::Result<Option<Watchdog>> {
        let Some(interval) = sd_notify::watchdog_enabled() else { return Ok(None) };
        let (inbox, said) = mpsc::channel();
        let (runtime, answers) = (runtime.clone(), inbox.clone());
        let watch = move || {
            loop {
                ask(&runtime, answers.clone());
                match said.recv() {
                    Ok(Said::Alive) => tell(&[NotifyState::Watchdog]),
                    Ok(Said::End) | Err(_) => return,
                }
                match said.recv_timeout(interval / 2) {
                    Err(RecvTimeoutError::Timeout) => {}
                    // Nobody asked, so it is no answer.
                    Ok(_) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = thread::Builder::new().name("heist-watchdog".to_owned()).spawn(watch)?;
        Ok(Some(Watchdog { inbox, thread: Some(thread) }))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.inbox.send(Said::End);
        if let Some(thread) = self.thread.take() {
            // It does not panic, and if it did, it would have said so.
            let _ = thread.join();
        }
    }
}

/// Has a task answer. If the runtime is shut down, it never runs, and nobody answers.
fn ask(runtime: &Handle, answers: Sender<Said>) {
    let answer = async move {
        let _ = answers.send(Said::Alive);
    };
    drop(task::Builder::new().name("watchdog").spawn_on(runtime, answer));
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, ?states, "cannot tell the service manager");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixDatagram;
    use std::process::Stdio;
    use std::time::Duration;

    use super::*;
    use crate::testing::{self, PLAYED, part, played};

    const ALIVE: &str = "WATCHDOG=1";

    /// Runs the test called `name` as a service, and returns what its manager hears until it stops.
    /// The service's standard input ends after two signs of life.
    fn heard(name: &str) -> Vec<String> {
        let path = std::env::temp_dir().join(format!("heist-notify-{}-{name}", std::process::id()));
        let manager = UnixDatagram::bind(&path).unwrap();
        // For a child that fails before it says that it stops.
        manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut child = testing::child(&format!("notify::tests::{name}"), "service");
        child.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000");
        let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
        let (mut said, mut buffer) = (Vec::new(), [0; 1024]);
        while said.last().is_none_or(|last| last != "STOPPING=1") {
            let length = manager.recv(&mut buffer).unwrap();
            said.push(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned());
            if said.iter().filter(|said| *said == ALIVE).count() == 2 {
                child.stdin = None;
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(PLAYED));
        said
    }

    /// Failure: a message that says that the service reloads, and not since when, kills it.
    #[test]
    fn manager_is_told_each_change_in_one_message() {
        if part().is_some() {
            ready();
            reloading();
            stayed("one line\nand another");
            handed_over(17);
            stopping();
            played();
        }
        let mut said = heard("manager_is_told_each_change_in_one_message");
        assert!(said.remove(1).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        let stayed = "READY=1\nSTATUS=hand-over failed: one line and another";
        let handed_over = "MAINPID=17\nREADY=1\nWATCHDOG=1";
        assert_eq!(said, ["READY=1", stayed, handed_over, "STOPPING=1"]);
    }

    /// Failure: a server whose workers are all stuck is taken for alive.
    #[test]
    fn stuck_runtime_gives_no_sign_of_life() {
        const STUCK: &str = "stuck until now";
        if part().is_some() {
            let runtime = heist::Builder::new().ignore_environment().workers(1).start().unwrap();
            let (is_stuck, stuck) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            drop(runtime.spawn(async move {
                is_stuck.send(()).unwrap();
                let _ = released.recv();
            }));
            stuck.recv().unwrap();
            let watchdog = Watchdog::start(runtime.handle()).unwrap().unwrap();
            // Fifty intervals in which nothing comes; that it does not is what is tested.
            let silence = stuck.recv_timeout(Duration::from_millis(100));
            assert_eq!(silence, Err(RecvTimeoutError::Timeout));
            tell(&[NotifyState::Status(STUCK)]);
            drop(release);
            // The manager closes it when it has heard enough.
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            let report = runtime.shutdown(Duration::from_secs(60));
            assert_eq!(report.threads_left, 0);
            drop(watchdog);
            stopping();
            played();
        }
        let said = heard("stuck_runtime_gives_no_sign_of_life");
        let (first, rest) = said.split_first().unwrap();
        assert_eq!(first, &format!("STATUS={STUCK}"));
        assert!(rest.iter().any(|said| said == ALIVE), "{said:?}");
    }
}
