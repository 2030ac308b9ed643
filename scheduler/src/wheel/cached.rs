//! An entry between two timers.
//!
//! A task that gives each of its waits a time limit drops a timer and arms another in the same poll,
//! over and over, with the same waker and a little later each time. So a worker caches the entry that
//! was given up last, for the timer that is armed there next. The queue does not notice: to it the
//! entry is one that waits, as that of a timer whose deadline was
//! [taken away](crate::time::Timer::set). If the next timer has the same waker, arming it is a plain
//! store.
//!
//! Only the worker itself touches its cached entry, and hands it back before it sleeps. Until then the
//! entry may fire like any other, which wakes its task once for nothing.

use std::sync::Arc;

use super::entries::Chunk;
#[cfg(all(test, heist_loom))]
use crate::clock::Instant;
#[cfg(test)]
use {super::tick::Tick, std::task::Waker};

/// An entry, to be used for a timer or [cancelled](CachedEntry::cancel).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
#[must_use = "an entry that is not cancelled is lost to its queue"]
pub(crate) struct CachedEntry {
    pub(crate) chunk: Arc<Chunk>,
    pub(crate) index: u32,
}

impl CachedEntry {
    /// Hands the entry back to its queue, without a lock.
    #[inline]
    pub(crate) fn cancel(self) {
        self.chunk.cancel(self.index);
    }
}

#[cfg(test)]
impl CachedEntry {
    pub(super) fn waits(&self, tick: Tick, waker: &Waker) -> bool {
        self.chunk.waits(self.index, tick, waker)
    }

    pub(super) fn postpone(&self, tick: Tick) {
        self.chunk.postpone(self.index, tick);
    }

    #[cfg(heist_loom)]
    pub(super) fn may_skip_poll(&self, deadline: Instant, now: Instant) -> bool {
        self.chunk.may_skip_poll(self.index, deadline, now)
    }

    #[cfg(heist_loom)]
    pub(super) fn take_over(&self, tick: Tick, now: Instant, waker: &Waker) -> bool {
        self.chunk.take_over(self.index, tick, now, waker)
    }
}

/// Two that are held at the same time are equal if they are of the same entry.
impl PartialEq for CachedEntry {
    fn eq(&self, other: &CachedEntry) -> bool {
        Arc::ptr_eq(&self.chunk, &other.chunk) && self.index == other.index
    }
}

impl Eq for CachedEntry {}
