//! An allocator that counts what the whole process has allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that are allocated now.
pub(crate) fn allocated_now() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

/// Counts the bytes that are allocated now.
struct Counting;

/// Raised by allocations and lowered by frees. Relaxed: it orders nothing.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it passes every call on to `System`, with the arguments that it was called with, and
// returns what that returns; counting touches no memory that is allocated here.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller promises of `layout` what `System` asks of it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller promises that `place` came from `alloc` above, thus from `System`, with
        // this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
