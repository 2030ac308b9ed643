//! Which threads of a runtime still run, and how to wait for their end with a deadline.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

#[derive(Default)]
pub(crate) struct Exits {
    /// Threads that have been entered and not left.
    running: Mutex<usize>,
    left: Condvar,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

/// One thread's presence; dropped as the last thing the thread does.
pub(crate) struct Presence(Arc<Exits>);

impl Exits {
    pub(crate) fn enter(self: &Arc<Self>) -> Presence {
        *self.running.lock() += 1;
        Presence(Arc::clone(self))
    }

    /// Remembers a thread, to join it at the end; forgets those that have ended.
    pub(crate) fn keep(&self, handle: JoinHandle<()>) {
        let mut handles = self.handles.lock();
        handles.retain(|handle| !handle.is_finished());
        handles.push(handle);
    }

    /// Waits until every thread has left or `timeout` has passed, joins those that have, and
    /// returns how many have not. Wall time: threads are real.
    pub(crate) fn join(&self, timeout: Duration) -> usize {
        let deadline = Instant::now().checked_add(timeout);
        let mut running = self.running.lock();
        while *running > 0 {
            let timed_out = match deadline {
                Some(deadline) => self.left.wait_until(&mut running, deadline).timed_out(),
                None => {
                    self.left.wait(&mut running);
                    false
                }
            };
            if timed_out {
                break;
            }
        }
        let still_running = *running;
        drop(running);
        for handle in self.handles.lock().drain(..) {
            // With none running each has only its last instructions before it.
            if still_running == 0 || handle.is_finished() {
                // A panic in a thread hook has been printed by the panic hook.
                let _ = handle.join();
            }
        }
        still_running
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        *self.0.running.lock() -= 1;
        self.0.left.notify_all();
    }
}
