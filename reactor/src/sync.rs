//! The primitives that the loom models replace.

#[cfg(heist_loom)]
pub(crate) use self::modelled::Mutex;
#[cfg(heist_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(heist_loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(heist_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

/// Slots in a chunk of the table; few in a model, so that it reaches a second chunk.
pub(crate) const CHUNK: usize = if cfg!(heist_loom) { 2 } else { 1024 };

/// loom's mutex with the interface of parking_lot's.
#[cfg(heist_loom)]
mod modelled {
    use loom::sync::{Mutex as LoomMutex, MutexGuard};

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(LoomMutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(LoomMutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no model panics while it holds a lock and then goes on")
        }
    }
}
