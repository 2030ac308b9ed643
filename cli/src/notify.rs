//! Notifications to the service manager: ready, stopping, another process took over, still alive.
//!
//! Without a manager (NOTIFY_SOCKET unset) all of this does nothing. A notification that cannot be
//! sent is logged: it is no reason to stop serving.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};

use heist::{Handle, task};
use sd_notify::NotifyState;

/// The server serves.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The server drains, and the service ends. Not for a process whose successor has taken over: the
/// service continues.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A new process is being started to take over. [`handed_over`] or [`stayed`] must follow.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the clock for the service manager"),
    }
}

/// `successor`, a process id, serves, and is the main process from now on.
///
/// The old process sends this, since the manager takes it from the main process only. It also
/// counts as a sign of life, so that the new one has a whole interval for its first.
pub(crate) fn handed_over(successor: u32) {
    let main = NotifyState::MainPid(successor);
    tell(&[main, NotifyState::Ready, NotifyState::Watchdog]);
}

/// No other process took over, and why: this one keeps serving.
pub(crate) fn stayed(why: &str) {
    let status = format!("handover failed: {}", why.replace('\n', " "));
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Notifies the manager, twice in the interval that it asks for, that the runtime is alive.
///
/// It does so only when a task spawned for the purpose has run. So a process whose workers are all
/// stuck is silent, and the manager restarts it. Dropping this ends it; do so after the shutdown of
/// the runtime, so that the manager does not restart the service during a long drain.
#[derive(Debug)]
pub(crate) struct Watchdog {
    inbox: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

/// To the watchdog's thread.
enum Message {
    /// From the task: the runtime is alive.
    Alive,
    /// From the owner: end.
    End,
}

impl Watchdog {
    /// Starts it if the service manager asks for one (WATCHDOG_USEC).
    pub(crate) fn start(runtime: &Handle) -> io::Result<Option<Watchdog>> {
        let Some(interval) = sd_notify::watchdog_enabled() else { return Ok(None) };
        let (inbox, messages) = mpsc::channel();
        let (runtime, answers) = (runtime.clone(), inbox.clone());
        let watch = move || {
            loop {
                ask(&runtime, answers.clone());
                match messages.recv() {
                    Ok(Message::Alive) => tell(&[NotifyState::Watchdog]),
                    Ok(Message::End) | Err(_) => return,
                }
                match messages.recv_timeout(interval / 2) {
                    Err(RecvTimeoutError::Timeout) => {}
                    // No task is under way, so this is no answer of one.
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
        let _ = self.inbox.send(Message::End);
        if let Some(thread) = self.thread.take() {
            // An error means a panic, which the thread has reported.
            let _ = thread.join();
        }
    }
}

/// Spawns a task that answers. After the shutdown of the runtime there is no answer.
fn ask(runtime: &Handle, answers: Sender<Message>) {
    let answer = async move {
        let _ = answers.send(Message::Alive);
    };
    drop(task::Builder::new().name("watchdog").spawn_on(runtime, answer));
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, ?states, "cannot notify the service manager");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixDatagram;
    use std::process::Stdio;
    use std::time::Duration;

    use super::*;
    use crate::testing::{self, DONE, done, role};

    const ALIVE: &str = "WATCHDOG=1";

    /// Runs the test called `name` as a service, and returns its notifications until it stops.
    /// The service's standard input ends after two signs of life.
    fn notifications(name: &str) -> Vec<String> {
        let path = std::env::temp_dir().join(format!("heist-notify-{}-{name}", std::process::id()));
        let manager = UnixDatagram::bind(&path).unwrap();
        // For a child that fails before it notifies that it stops.
        manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut child = testing::child(&format!("notify::tests::{name}"), "service");
        child.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000");
        let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
        let (mut received, mut buffer) = (Vec::new(), [0; 1024]);
        while received.last().is_none_or(|last| last != "STOPPING=1") {
            let length = manager.recv(&mut buffer).unwrap();
            received.push(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned());
            if received.iter().filter(|it| *it == ALIVE).count() == 2 {
                child.stdin = None;
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(DONE));
        received
    }

    /// Failure: the manager kills a service that sends RELOADING without MONOTONIC_USEC.
    #[test]
    fn manager_is_told_each_change_in_one_message() {
        if role().is_some() {
            ready();
            reloading();
            stayed("one line\nand another");
            handed_over(17);
            stopping();
            done();
        }
        let mut received = notifications("manager_is_told_each_change_in_one_message");
        assert!(received.remove(1).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        let stayed = "READY=1\nSTATUS=handover failed: one line and another";
        let handed_over = "MAINPID=17\nREADY=1\nWATCHDOG=1";
        assert_eq!(received, ["READY=1", stayed, handed_over, "STOPPING=1"]);
    }

    /// Failure: a server whose workers are all stuck still sends signs of life.
    #[test]
    fn stuck_runtime_gives_no_sign_of_life() {
        const STUCK: &str = "stuck until now";
        if role().is_some() {
            let runtime = heist::Builder::new().ignore_environment().workers(1).start().unwrap();
            let (is_stuck, stuck) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            drop(runtime.spawn(async move {
                is_stuck.send(()).unwrap();
                let _ = released.recv();
            }));
            stuck.recv().unwrap();
            let watchdog = Watchdog::start(runtime.handle()).unwrap().unwrap();
            // Fifty intervals without a message; their absence is what is tested.
            let silence = stuck.recv_timeout(Duration::from_millis(100));
            assert_eq!(silence, Err(RecvTimeoutError::Timeout));
            tell(&[NotifyState::Status(STUCK)]);
            drop(release);
            // The manager closes it after two signs of life.
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            let report = runtime.shutdown(Duration::from_secs(60));
            assert_eq!(report.threads_left, 0);
            drop(watchdog);
            stopping();
            done();
        }
        let received = notifications("stuck_runtime_gives_no_sign_of_life");
        let (first, rest) = received.split_first().unwrap();
        assert_eq!(first, &format!("STATUS={STUCK}"));
        assert!(rest.iter().any(|it| it == ALIVE), "{received:?}");
    }
}
