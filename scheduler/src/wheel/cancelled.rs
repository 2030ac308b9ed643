//! The stack of entries that their timers handed back, on the way to the queue.
//!
//! Cancelling takes no lock: it pushes the entry here, and the next thread that holds the queue's lock
//! takes it out of its slot. The stack is only ever pushed to or taken whole, so an entry that comes
//! back while another push is under way does no harm.

use super::entry::Entry;
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicU32, Ordering};

/// A stack of entry indices, linked through the entries.
///
/// | atomic | written by | ordering |
/// |---|---|---|
/// | `top` | any timer pushes; the holder of the queue's lock clears it | Release in `push`, Acquire in `take`: the taker sees each entry's link and all that its timer did to it. Later pushes continue the release sequence |
///
/// Aligned so that no line is shared with a neighbour, not even by a prefetcher that fetches lines in
/// pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Cancelled {
    /// The index pushed last plus one; 0 when there is none.
    top: AtomicU32,
}

/// A stack that was taken. Belongs to the holder of the queue's lock.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// As in [`Cancelled`].
    top: u32,
}

impl Cancelled {
    pub(super) fn new() -> Cancelled {
        Cancelled { top: AtomicU32::new(0) }
    }

    /// Hands the entry of this index back. Its timer does not touch it again.
    #[inline]
    pub(super) fn push(&self, entry: &Entry, index: u32) {
        // Relaxed: only a first guess for the exchange, which compares it.
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            if !mutant::on(Mutant::LinkAfterPush) {
                entry.link(top);
            }
            // Release pairs with the Acquire in `take`. Relaxed on failure: the value is again a guess.
            match self.top.compare_exchange_weak(
                top,
                index + 1,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(newer) => top = newer,
            }
        }
        if mutant::on(Mutant::LinkAfterPush) {
            entry.link(top);
        }
    }

    /// Whether there is nothing to take. May miss a push that is under way.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed: a push that is missed now is found at the next call.
        self.top.load(Ordering::Relaxed) == 0
    }

    /// Takes all there is. Under the queue's lock.
    #[inline]
    pub(super) fn take(&self) -> Taken {
        if self.is_empty() {
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

    /// Takes the entry pushed last. `below` reads the link of an entry.
    #[inline]
    pub(super) fn pop(&mut self, below: impl FnOnce(u32) -> u32) -> Option<u32> {
        let index = self.top.checked_sub(1)?;
        self.top = below(index);
        Some(index)
    }
}
