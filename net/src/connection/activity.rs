//! Whether a connection is active, found out by the task that serves it.
//!
//! Services of the crate say by themselves when a connection is active. For the future of any other
//! service its task looks: the connection is idle while the last poll left a read of a stream of the
//! server pending and no write, and active else. The first
//! [`set_busy`](super::drain_signal::DrainSignal::set_busy) of its code ends that for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::set::ConnectionSet;

/// The part of the task that serves the connection. Once it is dropped, the connection is not counted
/// as active by it.
pub(crate) struct Activity(Arc<Shared>);

/// The part of a drain signal: it ends the count of the task.
pub(super) struct ActivityOverride(Arc<Shared>);

/// What counts a connection as active: its task, until its code does.
///
/// | state | meaning | set by |
/// |---|---|---|
/// | `IDLE` | the task counts it as idle | the task, from `ACTIVE` |
/// | `ACTIVE` | the task has counted it as active | the task, from `IDLE` |
/// | `OVER` | the task counts no more | the task and the signal, from either; it stays |
///
/// Each change is Relaxed: it decides which thread changes the count of the set, which publishes
/// nothing.
struct Shared {
    state: AtomicU8,
    set: Arc<ConnectionSet>,
}

const IDLE: u8 = 0;
const ACTIVE: u8 = 1;
const OVER: u8 = 2;

impl Activity {
    pub(super) fn new(set: &Arc<ConnectionSet>) -> Activity {
        set.meter().watch_polls();
        Activity(Arc::new(Shared { state: AtomicU8::new(IDLE), set: Arc::clone(set) }))
    }

    pub(super) fn to_override(&self) -> ActivityOverride {
        ActivityOverride(Arc::clone(&self.0))
    }

    /// The task begins to poll the future that serves the connection.
    pub(crate) fn begin_poll(&self) {
        if self.0.change(IDLE, ACTIVE) {
            self.0.set.count_busy(true);
        }
        self.0.set.meter().begin_poll();
    }

    /// The future is pending.
    pub(crate) fn end_poll(&self) {
        if self.0.set.meter().waits_for_peer() && self.0.change(ACTIVE, IDLE) {
            self.0.set.count_busy(false);
        }
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl ActivityOverride {
    /// Has the task count the connection no more.
    #[cold]
    pub(super) fn end(self) {
        self.0.end();
    }
}

impl Shared {
    /// Returns whether the state was `from`, and so is `to` now.
    fn change(&self, from: u8, to: u8) -> bool {
        self.state.load(Ordering::Relaxed) == from
            && self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn end(&self) {
        if self.state.swap(OVER, Ordering::Relaxed) == ACTIVE {
            self.set.count_busy(false);
        }
    }
}
