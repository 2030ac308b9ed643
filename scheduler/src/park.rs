//! The scheduler's whole view of whatever brings events from outside.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::sync::{Condvar, Mutex};

/// What one look into a shard brought, besides the wakers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harvest {
    /// Events taken, stale and spurious ones included; wakes and closes are not events.
    pub events: usize,
    /// Events whose source was gone.
    pub stale: usize,
    /// Events that told nothing new and had no task waiting.
    pub spurious: usize,
    /// A [`Park::wake`] was taken.
    pub woken: bool,
    /// [`Park::close`] was called.
    pub closed: bool,
}

/// Where workers wait for events from outside: the scheduler's whole view of what brings them.
///
/// There are one or more *shards*. Each shard is a place where events arrive and where workers that
/// have nothing to run may wait for them. What an implementation must do:
///
/// 1. An event is handed to exactly one caller of [`Park::poll`] or [`Park::listen`], as the wakers
///    of the tasks that waited for it.
/// 2. [`Park::wake`] makes one caller of `listen` on that shard return with `woken` set: one that is
///    waiting now, or else the next to `poll` or `listen`. Wakes may coalesce while none is
///    taken; one is never lost. It should come after the events that were there before it: how long
///    it takes is how long events wait.
/// 3. [`Park::close`] makes every present and future `listen` return at once with `closed` set.
/// 4. [`Park::ready`] looks and takes nothing. It may say yes when it does not know.
///
/// The scheduler alone decides how many workers wait where, and which one is woken.
///
/// The seam costs one indirect call a batch, beside the system call that the batch costs.
pub trait Park: Any + Send + Sync {
    /// How many shards there are; at least one, and the same for ever.
    fn shards(&self) -> usize;

    /// How many workers may wait on one shard at once; at least one.
    fn max_waiters(&self) -> usize;

    /// Takes up to `bound` ready events without waiting.
    ///
    /// # Errors
    /// What the system says; the worker logs it, counts it and goes on.
    fn poll(&self, shard: usize, bound: usize, out: &mut Vec<Waker>) -> io::Result<Harvest>;

    /// Waits until there is an event, a wake, a close, or `timeout` has passed (rounded up, never
    /// down), and takes up to `bound` events. May return early with nothing.
    ///
    /// # Errors
    /// What the system says; the worker logs it, counts it and goes on.
    fn listen(
        &self,
        shard: usize,
        bound: usize,
        timeout: Option<Duration>,
        out: &mut Vec<Waker>,
    ) -> io::Result<Harvest>;

    /// Makes one waiting worker of `shard`, or the next to come, return with `woken` set.
    fn wake(&self, shard: usize);

    /// Whether `shard` has something to take.
    fn ready(&self, shard: usize) -> bool;

    /// Makes every wait return from now on; returns the wakers of all tasks that still waited.
    fn close(&self) -> Vec<Waker>;
}

/// A [`Park`] with no source of events: for runtimes that only run tasks and timers.
///
/// ```
/// let runtime = heist_scheduler::Builder::new().workers(2).start(heist_scheduler::Idle::new())?;
/// assert_eq!(runtime.block_on(async { 1 + 1 }), 2);
/// # Ok::<(), heist_scheduler::StartError>(())
/// ```
#[derive(Debug)]
pub struct Idle {
    state: Mutex<IdleState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct IdleState {
    woken: bool,
    closed: bool,
}

impl Idle {
    /// One shard that only ever carries wakes.
    #[must_use]
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> Arc<dyn Park> {
        Arc::new(Idle { state: Mutex::new(IdleState::default()), changed: Condvar::new() })
    }
}

impl IdleState {
    fn take(&mut self) -> Harvest {
        Harvest {
            woken: std::mem::take(&mut self.woken),
            closed: self.closed,
            ..Harvest::default()
        }
    }
}

impl Park for Idle {
    fn shards(&self) -> usize {
        1
    }

    fn max_waiters(&self) -> usize {
        usize::MAX
    }

    fn poll(&self, _shard: usize, _bound: usize, _out: &mut Vec<Waker>) -> io::Result<Harvest> {
        Ok(self.state.lock().take())
    }

    fn listen(
        &self,
        _shard: usize,
        _bound: usize,
        timeout: Option<Duration>,
        _out: &mut Vec<Waker>,
    ) -> io::Result<Harvest> {
        let mut state = self.state.lock();
        if !state.woken && !state.closed {
            match timeout {
                None => self.changed.wait(&mut state),
                Some(timeout) => {
                    self.changed.wait_for(&mut state, timeout);
                }
            }
        }
        Ok(state.take())
    }

    fn wake(&self, _shard: usize) {
        self.state.lock().woken = true;
        self.changed.notify_one();
    }

    fn ready(&self, _shard: usize) -> bool {
        let state = self.state.lock();
        state.woken || state.closed
    }

    fn close(&self) -> Vec<Waker> {
        self.state.lock().closed = true;
        self.changed.notify_all();
        Vec::new()
    }
}
