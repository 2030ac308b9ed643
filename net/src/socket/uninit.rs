//! Reads into memory that was never written.
//!
//! The only file of this crate with unsafe code. Buffers of hyper and tokio hand over memory that was
//! never written; to fill it without zeroing it first, the caller has to vouch for how much was written.

use std::io;
use std::mem::MaybeUninit;
use std::slice;
use std::task::{Context, Poll, ready};

use crate::socket::inner::SocketInner;

/// A buffer of another crate, whose room may be uninitialized.
///
/// # Safety
///
/// `unfilled` returns the same memory until `fill` is called.
pub(crate) unsafe trait UninitBuffer {
    /// The room of the buffer.
    ///
    /// # Safety
    ///
    /// The caller writes initialized bytes only: some of the memory may be initialized already.
    unsafe fn unfilled(&mut self) -> &mut [MaybeUninit<u8>];

    /// Takes the front of the room for filled.
    ///
    /// # Safety
    ///
    /// The first `count` bytes of [`unfilled`](UninitBuffer::unfilled) are initialized.
    unsafe fn fill(&mut self, count: usize);
}

impl SocketInner {
    /// Reads into memory that was never written. `keep` looks at what came, may change it, and says how
    /// much of it the buffer is given. Returns how much was read, and kept.
    pub(crate) fn poll_read_uninit(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut impl UninitBuffer,
        keep: impl FnOnce(&mut [u8]) -> usize,
    ) -> Poll<io::Result<(usize, usize)>> {
        // SAFETY: the memory is only given to `read_uninit`, which writes initialized bytes to its
        // front and leaves the rest as it is, and that front to `keep` as bytes. So nothing in it is
        // made uninitialized.
        let unfilled = unsafe { buffer.unfilled() };
        let length = unfilled.len();
        let count = ready!(self.poll_read_with(cx, length, |socket| socket.read_uninit(unfilled)))?;
        let front = &mut unfilled[..count];
        // SAFETY: `count` is the length of the part that `read_uninit` has initialized, at the
        // front of what is unfilled; `MaybeUninit<u8>` has the layout of `u8`; and the borrow of
        // `front` is exclusive for as long as the slice lives.
        let read = unsafe { slice::from_raw_parts_mut(front.as_mut_ptr().cast::<u8>(), count) };
        let kept = keep(read).min(count);
        // SAFETY: no more than `count` bytes, which are initialized, as above; `unfilled` has returned
        // the memory that they are in.
        unsafe { buffer.fill(kept) };
        Poll::Ready(Ok((count, kept)))
    }
}

// SAFETY: the cursor refers to one buffer, and only `advance` moves it.
#[cfg(feature = "hyper")]
unsafe impl UninitBuffer for hyper::rt::ReadBufCursor<'_> {
    unsafe fn unfilled(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the caller writes initialized bytes only.
        unsafe { self.as_mut() }
    }

    unsafe fn fill(&mut self, count: usize) {
        // SAFETY: the caller has initialized these bytes.
        unsafe { self.advance(count) }
    }
}

// SAFETY: the buffer owns a borrow of its memory, and only `advance` changes what is unfilled.
#[cfg(feature = "tokio-io")]
unsafe impl UninitBuffer for tokio::io::ReadBuf<'_> {
    unsafe fn unfilled(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the caller writes initialized bytes only.
        unsafe { self.unfilled_mut() }
    }

    unsafe fn fill(&mut self, count: usize) {
        // SAFETY: the caller has initialized these bytes.
        unsafe { self.assume_init(count) };
        self.advance(count);
    }
}
