//! A timer's entry between two timers.
//!
//! A task that gives each of its waits a time limit drops a timer and arms another in the same poll,
//! over and over, with the same waker and a little later each time. So a worker keeps the entry that
//! was given up last as its *spare*, for the timer that is armed there next. The wheel is told
//! nothing: to it the entry is one that waits, as that of a timer whose deadline was
//! [taken away](super::Timer::set). If the next timer has the same waker, arming it is a plain store.
//!
//! Only the worker itself comes to its spare, and gives it back before it sleeps. Until then it may
//! fire like any other, which wakes its task once for nothing.

use std::sync::Arc;

use super::queue::TimerQueue;

/// An entry that is held by one who shall use it or [cancel](Place::cancel) it. In either case its
/// index means something in its queue alone.
#[derive(Debug)]
#[must_use = "an entry that nobody cancels is lost to its queue"]
pub(crate) struct Place {
    pub(super) queue: Arc<TimerQueue>,
    pub(super) index: u32,
}

impl Place {
    #[inline]
    pub(crate) fn is_in(&self, queue: &Arc<TimerQueue>) -> bool {
        Arc::ptr_eq(&self.queue, queue)
    }

    /// Hands the entry back to its queue, without a lock.
    #[inline]
    pub(crate) fn cancel(self) {
        self.queue.cancel(self.index);
    }
}
