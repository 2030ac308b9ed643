//! Starting threads, looking at them, and parking them: a simulation replaces this module.

pub(crate) mod tracker;

use std::io;
use std::task::Wake;
use std::thread::JoinHandle;
use std::time::Duration;

#[cfg(target_os = "linux")]
use nix::time::ClockId;
#[cfg(target_os = "linux")]
use nix::unistd::{Pid, gettid};

use crate::sync::{Condvar, Mutex};

/// Starts a named thread.
pub(crate) fn spawn(
    name: String,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(body)
}

/// A thread of this process, as other threads may look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread(#[cfg(target_os = "linux")] Pid);

impl Thread {
    /// The calling thread; `None` where the system tells nothing of threads.
    pub(crate) fn current() -> Option<Thread> {
        #[cfg(target_os = "linux")]
        return Some(Thread(gettid()));
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Whether it waits for something other than a CPU: for a lock, a disk, or time to pass. `None`
    /// where that cannot be seen, as without `/proc`, or of a thread that has ended.
    pub(crate) fn is_blocked(self) -> Option<bool> {
        #[cfg(target_os = "linux")]
        {
            let text = std::fs::read(format!("/proc/self/task/{}/stat", self.0)).ok()?;
            // The state follows the name, which is in parentheses and may contain some.
            let state = text.iter().rposition(|&byte| byte == b')').map(|end| &text[end..]);
            Some(matches!(state, Some([b')', b' ', b'S' | b'D', ..])))
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Time on a CPU, in user mode and in the kernel, if the system tells.
    pub(crate) fn cpu_time(self) -> Option<Duration> {
        #[cfg(target_os = "linux")]
        return ClockId::from_raw(clock_of(self.0)).now().ok().map(Duration::from);
        #[cfg(not(target_os = "linux"))]
        None
    }
}

/// The clock of another thread's CPU time, as `pthread_getcpuclockid` makes it: Linux has the
/// complement of the number above three bits that say which kind of clock it is.
#[cfg(target_os = "linux")]
fn clock_of(thread: Pid) -> i32 {
    const OF_A_THREAD: i32 = 4;
    const IN_NANOSECONDS: i32 = 2;
    !thread.as_raw() << 3 | OF_A_THREAD | IN_NANOSECONDS
}

/// Where one thread waits; an `unpark` that comes early is kept for the next `park`.
///
/// Not `std::thread::park`: user code on the same thread may use that, and would take our unparks.
#[derive(Debug)]
pub(crate) struct Parker {
    /// Whether an `unpark` has come that no `park` has taken.
    unparked: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Parker { unparked: Mutex::new(false), changed: Condvar::new() }
    }

    /// Waits for an `unpark` and takes it; returns without one when `timeout` has passed.
    pub(crate) fn park(&self, timeout: Option<Duration>) {
        let mut unparked = self.unparked.lock();
        match timeout {
            None => {
                while !*unparked {
                    self.changed.wait(&mut unparked);
                }
            }
            // A wait that ends early is a spurious wake, which callers allow.
            Some(timeout) if !*unparked => {
                self.changed.wait_for(&mut unparked, timeout);
            }
            Some(_) => {}
        }
        *unparked = false;
    }

    /// Wakes the thread if it waits; otherwise its next `park` returns at once.
    pub(crate) fn unpark(&self) {
        *self.unparked.lock() = true;
        self.changed.notify_one();
    }
}

impl Wake for Parker {
    fn wake(self: std::sync::Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        self.unpark();
    }
}
