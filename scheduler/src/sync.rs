//! The one place that chooses between the real synchronisation types and loom's.
//!
//! Code whose interleavings are modelled takes its atomics and locks from here. The loom types replace
//! the real ones under `--cfg heist_loom`, which no dependency reads.

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
    use std::ops::{Deref, DerefMut};
    use std::time::Duration;

    /// Not modelled: the models have queues of their own.
    pub(crate) type Injector<T> = crossbeam_deque::Injector<T>;

    /// loom's mutex behind the face of parking_lot's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    /// `None` only while a [`Condvar`] holds the real guard.
    pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect("no model panics under a lock")))
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.0.as_ref().expect("a waiting thread does not access the value")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("a waiting thread does not access the value")
        }
    }

    /// loom's condition variable behind the face of parking_lot's. It has no time: a wait with a
    /// time-out waits for ever, so a model cannot rely on one.
    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Condvar(loom::sync::Condvar::new())
        }

        pub(crate) fn notify_one(&self) -> bool {
            self.0.notify_one();
            true
        }

        pub(crate) fn notify_all(&self) -> usize {
            self.0.notify_all();
            0
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let inner = guard.0.take().expect("a thread waits once at a time");
            guard.0 = Some(self.0.wait(inner).expect("no model panics under a lock"));
        }

        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _timeout: Duration) {
            self.wait(guard);
        }
    }
}

pub(crate) use imp::*;
