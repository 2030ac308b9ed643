//! Buffers that belong to the thread, lent to one connection at a time.
//!
//! They go back when they are dropped, so a protocol that panics costs nobody a buffer. Buffers
//! that are lent already are not there; whoever asks gets new ones.

use std::cell::Cell;
use std::mem;
use std::ops::{Deref, DerefMut};

thread_local! {
    static BUFFERS: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

/// What a round needs, together, so that it asks the thread once.
#[derive(Default)]
pub(super) struct Buffers {
    /// For a [`Window`]. What is in it is nobody's.
    pub(super) input: Vec<u8>,
    /// Empty when it is lent.
    pub(super) output: Vec<u8>,
}

/// A thread's buffers, on loan.
pub(super) struct Loan(Option<Box<Buffers>>);

/// The thread's buffers.
#[inline]
pub(super) fn borrow() -> Loan {
    Loan(Some(BUFFERS.take().unwrap_or_default()))
}

impl Deref for Loan {
    type Target = Buffers;

    #[inline]
    fn deref(&self) -> &Buffers {
        self.0.as_ref().expect("taken by the destructor alone")
    }
}

impl DerefMut for Loan {
    #[inline]
    fn deref_mut(&mut self) -> &mut Buffers {
        self.0.as_mut().expect("taken by the destructor alone")
    }
}

impl Drop for Loan {
    #[inline]
    fn drop(&mut self) {
        let Some(mut buffers) = self.0.take() else { return };
        buffers.output.clear();
        if buffers.input.capacity().max(buffers.output.capacity()) > KEEP {
            buffers.shrink();
        }
        // A thread that is ending has no use for it any more.
        let _ = BUFFERS.try_with(|owner| owner.set(Some(buffers)));
    }
}

impl Buffers {
    #[cold]
    fn shrink(&mut self) {
        *self = Buffers::default();
    }
}

/// The window through which a connection reads: what the protocol left before, then what is read.
pub(super) struct Window<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
    end: usize,
}

impl<'a> Window<'a> {
    /// A window in `buffer` that shows `left`.
    #[inline]
    pub(super) fn open(buffer: &'a mut Vec<u8>, left: &[u8]) -> Window<'a> {
        if buffer.len() < left.len() + READ {
            grow(buffer, left.len());
        }
        if !left.is_empty() {
            buffer[..left.len()].copy_from_slice(left);
        }
        Window { bytes: buffer, start: 0, end: left.len() }
    }

    /// What is there to be used.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Takes `count` bytes off the front.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "consumed more than there was");
    }

    /// Where to read to; [`READ`] bytes.
    #[inline]
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else {
            self.make_space();
        }
        &mut self.bytes[self.end..self.end + READ]
    }

    /// Shows `count` more bytes, which were read to [`space`](Window::space).
    #[inline]
    pub(super) fn extend(&mut self, count: usize) {
        self.end += count;
    }

    /// Moves what is left to the front, and has the buffer grow with it: a long message takes no
    /// more room than has come of it.
    #[cold]
    fn make_space(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= mem::take(&mut self.start);
        if self.bytes.len() < self.end + READ {
            grow(self.bytes, self.end);
        }
    }
}

/// Makes room behind the first `kept` bytes of `buffer`, which stay.
#[cold]
fn grow(buffer: &mut Vec<u8>, kept: usize) {
    let needed = kept + READ;
    if buffer.is_empty() {
        // A new buffer comes zeroed from the system at no cost.
        *buffer = vec![0; needed];
    } else {
        buffer.resize(needed.max(2 * buffer.len()), 0);
    }
}

/// How many bytes are read at once.
pub(super) const READ: usize = 64 * 1024;

/// Buffers that had to grow beyond this go back to the system.
const KEEP: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_keeps_what_was_left_in_front_of_what_is_read() {
        let mut buffer = Vec::new();
        let mut window = Window::open(&mut buffer, b"le");
        window.space()[..6].copy_from_slice(b"ft new");
        window.extend(6);
        assert_eq!(window.rest(), b"left new");
        window.consume(5);
        window.space()[..2].copy_from_slice(b"er");
        window.extend(2);
        assert_eq!(window.rest(), b"newer");
    }

    #[test]
    fn window_has_room_to_read_behind_a_paused_input() {
        let left = vec![7; READ + 64];
        let mut buffer = Vec::new();
        let mut window = Window::open(&mut buffer, &left);
        assert_eq!(window.rest(), left);
        assert_eq!(window.space().len(), READ);
    }

    #[test]
    fn window_grows_with_what_comes_and_keeps_it() {
        let mut buffer = Vec::new();
        let mut window = Window::open(&mut buffer, b"");
        for byte in 1..=5 {
            window.space().fill(byte);
            window.extend(READ);
        }
        let firsts: Vec<_> = window.rest().chunks(READ).map(|read| read[0]).collect();
        assert_eq!((window.rest().len(), &firsts[..]), (5 * READ, &[1, 2, 3, 4, 5][..]));
        assert!(buffer.len() <= 10 * READ, "{}", buffer.len());
    }

    #[test]
    fn panic_gives_the_buffers_back() {
        let address = {
            let mut loan = borrow();
            loan.output.extend_from_slice(&[0; 100]);
            loan.output.as_ptr()
        };
        let panicked = std::panic::catch_unwind(|| {
            let mut loan = borrow();
            loan.output.push(1);
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        let loan = borrow();
        assert_eq!((loan.output.as_ptr(), loan.output.len()), (address, 0));
    }

    #[test]
    fn two_borrowers_get_two_buffers() {
        let mut one = borrow();
        let mut other = borrow();
        one.output.push(1);
        other.output.push(2);
        assert_eq!((&one.output[..], &other.output[..]), (&[1][..], &[2][..]));
    }

    #[test]
    fn a_great_buffer_is_not_kept() {
        borrow().output.reserve(KEEP + 1);
        assert!(borrow().output.capacity() <= KEEP);
    }
}
