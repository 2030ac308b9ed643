//! A timer on its way into a queue, and what became of it.

use std::task::Waker;

use super::cached::CachedEntry;
use super::tick::Tick;
use crate::clock::Instant;
use crate::panics;

/// A timer that is about to be armed.
///
/// Its waker is cloned before the queue is locked, and what is left of wakers is
/// [dropped](Arming::finish) after, as either may run foreign code.
#[must_use = "wakers are left over"]
pub(crate) struct Arming {
    pub(super) tick: Tick,
    pub(super) waker: Waker,
    pub(super) swept: Swept,
}

/// Wakers of the cancelled entries that one arming releases.
pub(super) type Swept = [Option<Waker>; 2];

/// What became of a timer that was to be armed.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Armed {
    /// It waits in this entry, or in the one it had.
    Waits(Option<CachedEntry>),
    /// The deadline has passed already.
    Due,
    /// The queue is at its bound.
    Full,
    /// The runtime shuts down: no timer fires any more.
    Closed,
}

impl Arming {
    #[inline]
    pub(crate) fn new(deadline: Instant, waker: &Waker) -> Arming {
        let (tick, waker) = (Tick::of_deadline(deadline), waker.clone());
        Arming { tick, waker, swept: Swept::default() }
    }

    /// Drops the wakers that are left over. They may belong to other tasks than the one that arms, so
    /// their panics are contained.
    #[inline]
    pub(crate) fn finish(self) {
        panics::drop_all(self.swept.into_iter().flatten().chain([self.waker]));
    }
}
