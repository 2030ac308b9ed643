//! What the tests of the scheduler share.

#![allow(dead_code, reason = "no file of tests uses all of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use heist_scheduler::{Builder, Handle, Idle, Runtime};

/// Far longer than any test here takes: only a hang reaches it.
pub(crate) const HANG: Duration = Duration::from_secs(60);

pub(crate) fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).start(Idle::new()).unwrap()
}

pub(crate) struct SetOnDrop(pub(crate) Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(crate) struct CountDrop(pub(crate) Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Spins until `reached`, and fails instead of hanging.
pub(crate) fn wait_until(reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < HANG, "the condition does not come true");
        yield_now();
    }
}

/// Runs `then` on a thread of its own once the runtime has begun to shut down.
pub(crate) fn once_closing(handle: &Handle, then: impl FnOnce() + Send + 'static) {
    let handle = handle.clone();
    std::thread::spawn(move || {
        while !handle.is_shutting_down() {
            yield_now();
        }
        then();
    });
}
