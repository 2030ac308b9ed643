//! Wakers that are kept behind a lock.
//!
//! A waker is foreign code: to clone it, to call it and to drop it may run anything, such as code that
//! takes the same lock. So a clone is made before the lock is taken, and what is displaced leaves it:
//!
//! ```text
//! let mut fresh = Fresh::of(cx);
//! loop {
//!     let mut state = lock();
//!     if fresh.put_in(&mut state.waker) { return Pending }   // `state` is dropped before `fresh`
//!     drop(state);
//!     fresh.make();
//! }
//! ```

use std::task::{Context, Waker};

/// The waker of a poll, cloned once it is known that a clone is needed.
pub(crate) struct Fresh<'a> {
    waker: &'a Waker,
    /// A clone to be stored; after that, what it displaced.
    spare: Option<Waker>,
}

impl<'a> Fresh<'a> {
    pub(crate) fn of(cx: &Context<'a>) -> Fresh<'a> {
        Fresh { waker: cx.waker(), spare: None }
    }

    /// Makes the clone. Not under a lock.
    #[cold]
    pub(crate) fn make(&mut self) {
        self.spare = Some(self.waker.clone());
    }

    /// Whether `place` now wakes the task of this poll. If not, a clone is needed.
    ///
    /// What it displaces is dropped with this, which the caller declares before it takes the lock.
    #[must_use = "without a clone nothing was stored"]
    pub(crate) fn put_in(&mut self, place: &mut Option<Waker>) -> bool {
        if place.as_ref().is_some_and(|waker| waker.will_wake(self.waker)) {
            return true;
        }
        match self.spare.take() {
            Some(clone) => {
                self.spare = place.replace(clone);
                true
            }
            None => false,
        }
    }

    /// The clone, if it is there.
    pub(crate) fn take(&mut self) -> Option<Waker> {
        self.spare.take()
    }
}
