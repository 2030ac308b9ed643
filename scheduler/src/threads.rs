//! Threads and how they wait: the one face behind which a simulation puts its own.

use std::io;
use std::task::Wake;
use std::thread::JoinHandle;
use std::time::Duration;

#[cfg(target_os = "linux")]
use nix::sys::resource::{UsageWho, getrusage};
#[cfg(target_os = "linux")]
use rustix::time::{ClockId, clock_gettime};

use crate::sync::{Condvar, Mutex};

/// Starts a named thread.
pub(crate) fn spawn(
    name: String,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(body)
}

/// What the calling thread has used since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Times it gave up its CPU: it waited for something.
    pub(crate) voluntary_switches: u64,
    /// Times its CPU was taken from it.
    pub(crate) involuntary_switches: u64,
    /// Time on a CPU, in user mode and in the kernel.
    pub(crate) cpu_nanos: u64,
}

/// Asks the system; nothing where that cannot be asked of a thread.
pub(crate) fn usage() -> Usage {
    #[cfg(target_os = "linux")]
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) {
        // Not the times of `usage`, which are as old as the last tick of the kernel.
        let time = clock_gettime(ClockId::ThreadCPUTime);
        return Usage {
            // None of these is ever negative.
            voluntary_switches: usage.voluntary_context_switches() as u64,
            involuntary_switches: usage.involuntary_context_switches() as u64,
            cpu_nanos: time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
        };
    }
    Usage::default()
}

/// One thread's place to wait, with a permit that an early `unpark` leaves behind.
///
/// Not `std::thread::park`: user code on the same thread may use that, and would eat our permits.
#[derive(Debug)]
pub(crate) struct Parker {
    /// Whether an `unpark` has come that no `park` has taken.
    permit: Mutex<bool>,
    unparked: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Parker { permit: Mutex::new(false), unparked: Condvar::new() }
    }

    /// Waits for a permit and takes it; returns without one when `timeout` has passed.
    pub(crate) fn park(&self, timeout: Option<Duration>) {
        let mut permit = self.permit.lock();
        match timeout {
            None => {
                while !*permit {
                    self.unparked.wait(&mut permit);
                }
            }
            // A wait that ends early without a permit is a spurious wake, which callers allow.
            Some(timeout) if !*permit => {
                self.unparked.wait_for(&mut permit, timeout);
            }
            Some(_) => {}
        }
        *permit = false;
    }

    /// Leaves a permit and wakes the thread if it waits.
    pub(crate) fn unpark(&self) {
        *self.permit.lock() = true;
        self.unparked.notify_one();
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
