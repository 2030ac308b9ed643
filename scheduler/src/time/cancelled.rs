//! The stack of cancelled entries, on their way from the threads that cancel to the wheel.
//!
//! Cancelling takes no lock: it puts the entry here, and whoever next has the wheel's lock takes
//! it out of its slot. The stack is only ever pushed to or taken whole, so an entry that comes
//! back while a push is under way does no harm.

use super::entries::Entries;
use crate::sync::atomic::{AtomicU32, Ordering};

/// A stack of entry indices, linked through the entries.
#[derive(Debug)]
pub(super) struct Cancelled {
    /// The index cancelled last plus one; 0 when there is none.
    top: AtomicU32,
}

/// A stack that was taken: belongs to whoever has the wheel's lock.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// As in [`Cancelled`].
    top: u32,
}

impl Cancelled {
    pub(super) fn new() -> Cancelled {
        Cancelled { top: AtomicU32::new(0) }
    }

    /// Hands an entry back. The caller has cancelled it and touches it no more.
    #[inline]
    pub(super) fn push(&self, entries: &Entries, index: u32) {
        let below = entries.at(index).below();
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            below.store(top, Ordering::Relaxed);
            // Release pairs with the Acquire in `take`: who takes the entry sees its link, and that
            // the waker was taken out. It heads a release sequence through the later pushes.
            match self.top.compare_exchange_weak(
                top,
                index + 1,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(newer) => top = newer,
            }
        }
    }

    /// Takes all there is. Under the wheel's lock.
    #[inline]
    pub(super) fn take(&self) -> Taken {
        // A look first: mostly there is nothing, and a swap would dirty the line.
        if self.top.load(Ordering::Relaxed) == 0 {
            return Taken::default();
        }
        // Acquire pairs with the Release in `push`.
        Taken { top: self.top.swap(0, Ordering::Acquire) }
    }
}

impl Taken {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.top == 0
    }

    #[inline]
    pub(super) fn pop(&mut self, entries: &Entries) -> Option<u32> {
        let index = self.top.checked_sub(1)?;
        // Relaxed: `Cancelled::take` acquired it.
        self.top = entries.at(index).below().load(Ordering::Relaxed);
        Some(index)
    }
}
