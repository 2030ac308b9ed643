//! Wakers that are stored behind a lock.
//!
//! A waker is foreign code: its clone, its call and its drop may run anything, such as code that
//! takes the same lock. So a clone is made before the lock is taken, and a displaced waker is
//! dropped after it:
//!
//! ```text
//! let mut waker = LazyWaker::of(cx);
//! loop {
//!     let mut state = lock();
//!     if waker.store_in(&mut state.waker) { return Pending }   // `state` is dropped before `waker`
//!     drop(state);
//!     waker.prepare();
//! }
//! ```

use std::task::{Context, Waker};

/// The waker of a poll, cloned once a clone turns out to be needed.
pub(crate) struct LazyWaker<'a> {
    waker: &'a Waker,
    /// A clone to be stored; after that, the waker that it displaced.
    spare: Option<Waker>,
}

impl<'a> LazyWaker<'a> {
    pub(crate) fn of(cx: &Context<'a>) -> LazyWaker<'a> {
        LazyWaker { waker: cx.waker(), spare: None }
    }

    /// Makes the clone. Not under a lock.
    #[cold]
    pub(crate) fn prepare(&mut self) {
        self.spare = Some(self.waker.clone());
    }

    /// Whether `slot` now wakes the task of this poll. If not, a clone is needed.
    ///
    /// A displaced waker is dropped with this value, which the caller declares before it takes the
    /// lock.
    #[must_use = "without a clone nothing was stored"]
    pub(crate) fn store_in(&mut self, slot: &mut Option<Waker>) -> bool {
        if slot.as_ref().is_some_and(|waker| waker.will_wake(self.waker)) {
            return true;
        }
        match self.spare.take() {
            Some(clone) => {
                self.spare = slot.replace(clone);
                true
            }
            None => false,
        }
    }

    /// The clone, if it was made.
    pub(crate) fn take(&mut self) -> Option<Waker> {
        self.spare.take()
    }
}
