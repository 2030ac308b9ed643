//! The queue against a model, and one test for each failure that timers elsewhere had.

#![allow(unused_must_use, reason = "most timers here end with their queue")]

mod failures;
mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use super::cached::CachedEntry;
use super::tick::Tick;
use super::{Armed, TimerQueue};
use crate::clock::Instant;

pub(crate) const NO_LIMIT: usize = usize::MAX;
pub(crate) const TICK: Duration = Duration::from_nanos(62_500);

/// A waker that writes down its name.
struct Name(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Name {
    fn wake(self: Arc<Self>) {
        self.1.lock().push(self.0);
    }
}

/// Counts its wakes.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    pub(crate) fn woken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A queue, and what was woken by it.
struct Bench {
    queue: TimerQueue,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Bench {
    fn new() -> Bench {
        Bench { queue: TimerQueue::new(None), woken: Arc::default() }
    }

    fn waker(&self, name: usize) -> Waker {
        Waker::from(Arc::new(Name(name, Arc::clone(&self.woken))))
    }

    fn arm(&self, name: usize, deadline: Instant) -> Armed {
        self.queue.arm(None, deadline, &self.waker(name))
    }

    fn arm_waiting(&self, name: usize, deadline: Instant) -> CachedEntry {
        match self.arm(name, deadline) {
            Armed::Waits(Some(entry)) => entry,
            other => panic!("expected {name} to wait for {deadline:?}, not {other:?}"),
        }
    }

    /// Advances by at most `limit` looks; the names of the woken.
    fn advance(&self, now: Instant, limit: usize) -> Vec<usize> {
        let mut wakers = Vec::new();
        let fired = self.queue.advance(now, limit, &mut wakers);
        assert_eq!(fired, wakers.len());
        wakers.into_iter().for_each(Waker::wake);
        std::mem::take(&mut self.woken.lock())
    }
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// The instant of a tick.
fn tick(number: u64) -> Instant {
    Tick::from_number(number).instant()
}

fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 60 * 60)
}
