//! The one place that chooses between the real synchronisation types and loom's.
//!
//! Everything whose interleavings are modelled takes its atomics and locks from here. The loom
//! types replace the real ones under `--cfg heist_loom`, which no dependency looks at.

#[cfg(not(heist_loom))]
mod imp {
    pub(crate) use parking_lot::{Condvar, Mutex};
    pub(crate) use std::sync::atomic;
    pub(crate) use std::sync::atomic::fence;

    /// A queue that any thread pushes to and any worker takes from.
    pub(crate) type Injector<T> = crossbeam_deque::Injector<T>;
}

#[cfg(heist_loom)]
mod imp {
    pub(crate) use loom::sync::atomic;
    pub(crate) use loom::sync::atomic::fence;
    use std::collections::VecDeque;
    use std::time::Duration;

    /// loom's mutex behind the face of parking_lot's.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);
    pub(crate) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a model does not panic under a lock")
        }
    }

    /// loom's condition variable behind the face of parking_lot's; it knows no time.
    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    /// Whether a wait ended by its time-out; under loom it never does.
    pub(crate) struct WaitTimeoutResult;
    impl WaitTimeoutResult {
        pub(crate) fn timed_out(&self) -> bool {
            false
        }
    }

    impl Condvar {
        pub(crate) fn new() -> Self {
            Condvar(loom::sync::Condvar::new())
        }
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            replace_with(guard, |g| self.0.wait(g).expect("no panic under a lock"));
        }
        pub(crate) fn wait_for<T>(
            &self,
            guard: &mut MutexGuard<'_, T>,
            _timeout: Duration,
        ) -> WaitTimeoutResult {
            self.wait(guard);
            WaitTimeoutResult
        }
    }
}

pub(crate) use imp::*;
