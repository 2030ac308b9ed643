//! Where panics of foreign code end.
//!
//! Foreign code is what users hand over: futures, outputs, wakers, hooks, an implementation of
//! [`Park`](crate::Park). It runs with no lock held and no state half changed. The places that run it:
//!
//! | place | code | what a panic does |
//! |---|---|---|
//! | `task/guard.rs` | a poll | ends that task; counted as its panic, and given to its join handle, or logged where there is none |
//! | `task/guard.rs` | the drop of a future or an output | the task has ended all the same; logged, and that of a future counted as its panic |
//! | `Place::Waker` | a waker that is called | the other wakers of its batch are called all the same |
//! | `Place::WakerDrop` | a waker that is dropped | as above |
//! | `Place::JoinWaker` | the waker of a task that joins another | the task has ended as it would have |
//! | `runtime/builder.rs` | `Builder::on_thread_start` | an error of `Builder::start` |
//! | `Place::StopHook` | `Builder::on_thread_stop` | the thread ends as it would have |
//! | `Place::Park` | a `Park` that is called to wake or to close, or by a worker with a task in hand | a wake is tried once more; else as if it had done nothing |
//! | `Place::Worker` | a worker's turn: a `Park`, or a fault of this crate | the worker begins its next turn |
//! | `Place::Monitor` | the monitor's look: the same | the monitor looks again |
//! | `Place::BlockingThread` | a thread of the blocking pool | the thread takes the next work |
//! | `Place::ThreadScope` | a [`ThreadScope`](crate::ThreadScope) that is entered or left | the thread goes on without it; `block_on`, if it was not entered, panics |
//! | `Place::Hook` | what a caller of [`contain_hook`] names | the caller goes on without its result |
//!
//! The event queue calls wakers as well, in the poll that lets go of a source or ends a drain early: all
//! of them, and then that poll gets the panic.
//!
//! Those with a `Place` are counted in [`Metrics::caught_panics`](crate::Metrics::caught_panics).

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use crate::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// Where panics that are caught on this thread are counted: for the runtime that it is inside.
    /// Never dropped, so that it can be asked in destructors of the thread's data, too.
    static COUNTER: ManuallyDrop<RefCell<Option<Arc<CaughtPanics>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Panics of foreign code that were caught in one runtime. Relaxed: a statistic.
#[derive(Debug)]
pub(crate) struct CaughtPanics(AtomicU64);

impl CaughtPanics {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for CaughtPanics {
    fn default() -> Self {
        CaughtPanics(AtomicU64::new(0))
    }
}

/// The current thread has entered or left a runtime: its panics are counted there from now on.
pub(crate) fn count_in(counter: Option<Arc<CaughtPanics>>) {
    let before = COUNTER.with(|current| current.replace(counter));
    drop(before);
}

/// Which foreign code ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Waker,
    WakerDrop,
    JoinWaker,
    StopHook,
    Park,
    Worker,
    Monitor,
    BlockingThread,
    ThreadScope,
    /// Foreign code of a crate above this one.
    Hook(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Waker => "a waker that was called",
            Place::WakerDrop => "a waker that was dropped",
            Place::JoinWaker => "the waker of a task that joins another",
            Place::StopHook => "the hook on_thread_stop",
            Place::Park => "the source of events",
            Place::Worker => "the turn of a worker",
            Place::Monitor => "the monitor",
            Place::BlockingThread => "a thread of the blocking pool",
            Place::ThreadScope => "the scope of a thread",
            Place::Hook(name) => name,
        })
    }
}

/// Runs foreign code; a panic in it is counted, logged and ends here.
#[inline]
pub(crate) fn contain<R>(place: Place, code: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(done) => Some(done),
        Err(payload) => {
            report(place, payload);
            None
        }
    }
}

/// Calls wakers: all of them, also when one of them panics.
///
/// A panic of one is counted in [`Metrics::caught_panics`](crate::Metrics::caught_panics) of the
/// current runtime, if there is one, and logged. Call it with no lock held: wakers are foreign code.
///
/// ```
/// use heist::task;
/// use std::task::Waker;
///
/// let waiting: Vec<Waker> = vec![Waker::noop().clone()];
/// task::wake_all(waiting);
/// ```
// One guard for all that do not panic, so that a batch pays for it once.
pub fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut wakers = wakers.into_iter();
    while contain(Place::Waker, || wakers.by_ref().for_each(Waker::wake)).is_none() {}
}

/// Runs foreign code whose panic must not end the calling task; `None` if it panicked.
///
/// A panic is counted in [`Metrics::caught_panics`](crate::Metrics::caught_panics) of the current
/// runtime, if there is one, and logged with `place`, which names the code. Call it with no lock held.
///
/// ```
/// use heist::task;
///
/// let answer = task::contain_hook("the hook of an example", || 42);
/// assert_eq!(answer, Some(42));
/// ```
pub fn contain_hook<R>(place: &'static str, code: impl FnOnce() -> R) -> Option<R> {
    contain(Place::Hook(place), code)
}

/// Drops wakers, of any tasks.
pub(crate) fn drop_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut wakers = wakers.into_iter();
    while contain(Place::WakerDrop, || wakers.by_ref().for_each(drop)).is_none() {}
}

/// Drops what a panic was raised with. Its destructor may panic in turn, and what that is raised
/// with, too; beyond [`PAYLOADS`] it is leaked.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    let mut payload = payload;
    for _ in 0..PAYLOADS {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

/// The text that a panic was raised with, where it was a text.
pub(crate) fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(not a text)")
}

/// Runs the code that logs. A subscriber is foreign code as well; there is no place to log what it
/// does.
pub(crate) fn log(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        discard(payload);
    }
}

/// Counts and logs a panic that was caught.
#[cold]
pub(crate) fn report(place: Place, payload: Box<dyn Any + Send>) {
    COUNTER.with(|counter| {
        if let Some(counter) = &*counter.borrow() {
            counter.0.fetch_add(1, Ordering::Relaxed);
        }
    });
    log(|| tracing::error!(%place, message = message(&*payload), "caught a panic"));
    discard(payload);
}

/// How many payloads in a row are dropped.
const PAYLOADS: u32 = 8;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::panic::panic_any;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Its destructor panics with another one, so many times.
    struct Again(u32);

    impl Drop for Again {
        fn drop(&mut self) {
            if let Some(left) = self.0.checked_sub(1) {
                panic_any(Again(left));
            }
        }
    }

    /// Failure: a payload that panics when it is dropped killed the worker.
    #[test]
    fn payload_whose_drop_panics_is_dropped_or_leaked() {
        for depth in [0, 1, 3, 100] {
            assert_eq!(contain(Place::Waker, || panic_any(Again(depth))), None::<()>);
        }
    }

    /// Failure: the rest of the batch was lost.
    #[test]
    fn waker_that_panics_does_not_keep_the_others_from_being_called() {
        struct Counts(AtomicUsize, bool);
        impl Wake for Counts {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
                assert!(!self.1, "a waker that panics (expected)");
            }
        }
        let all: Vec<_> =
            (0..9).map(|n| Arc::new(Counts(AtomicUsize::new(0), n % 3 == 0))).collect();
        wake_all(all.iter().map(|one| Waker::from(Arc::clone(one))));
        assert!(all.iter().all(|one| one.0.load(Ordering::Relaxed) == 1));
    }
}
