//! The primitives that the loom models replace, and the switches that break the code for them.

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

/// loom's mutex with parking_lot's face.
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

/// Defects that a model must find; each is off unless a model turns it on.
pub(crate) mod mutant {
    /// One defence taken out.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Mutant {
        /// The ready bit is cleared when the drain ends, not before it begins.
        ClearAfterDrain,
        /// The word is not looked at again once the waker is stored.
        NoSecondLook,
        /// An event is delivered whatever its generation.
        GenerationIgnored,
        /// A waker that another one replaces is dropped.
        ReplacedWakerDropped,
        /// A drain that ends early does not tell a task that began to wait meanwhile.
        EarlyEndUnheard,
        /// A task that need not wait after all leaves its waker where it is.
        WakerLeftBehind,
        /// A task that takes its waker back does not wake it.
        TakenWakerDropped,
        /// A waker that is said to be kept is taken out.
        KeptWakerTaken,
        /// Whether a waker is kept is asked before the lock is taken.
        KeptAskedEarly,
        /// The kernel is asked for a direction without the lock of the slot.
        AskedUnlocked,
        /// A direction counts as armed before the kernel has agreed.
        ArmedTooEarly,
        /// Closing marks the words but leaves the wakers where they are.
        CloseKeepsWakers,
        /// Closing leaves the wakers of several waiters where they are.
        CloseKeepsListed,
        /// A further waiter displaces the one that is there.
        FurtherDisplaces,
        /// The waiting bit is not set again for the waiters that an event leaves.
        RestUnannounced,
        /// A registered waiter that was woken leaves and passes nothing on.
        LeavesSilently,
        /// A registered waiter that has taken the event does not look for its waker while no task is
        /// said to wait.
        WithdrawsUnlooked,
        /// An event that wakes anonymous waiters wakes no registered one.
        AnonymousReliedUpon,
    }

    /// Whether this defect is wanted; never outside the models.
    #[cfg(not(heist_loom))]
    pub(crate) const fn on(_: Mutant) -> bool {
        false
    }

    #[cfg(heist_loom)]
    pub(crate) fn on(mutant: Mutant) -> bool {
        WANTED.get() == Some(mutant)
    }

    /// Turns one defect on for this thread, until the guard is dropped; loom runs all threads of a
    /// model on one.
    #[cfg(all(test, heist_loom))]
    #[must_use]
    pub(crate) fn want(mutant: Mutant) -> impl Drop {
        struct Unwanted;
        impl Drop for Unwanted {
            fn drop(&mut self) {
                WANTED.set(None);
            }
        }
        WANTED.set(Some(mutant));
        Unwanted
    }

    #[cfg(heist_loom)]
    std::thread_local! {
        static WANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
    }
}
