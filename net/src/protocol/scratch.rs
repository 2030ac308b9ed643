//! Buffers that belong to the thread, lent to one connection at a time.
//!
//! They go back when they are dropped, so a protocol that panics costs nobody a buffer. A buffer
//! that is lent already is not there; whoever asks gets a new one.

use std::cell::Cell;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

thread_local! {
    static INPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A thread's buffer, on loan.
pub(super) struct Loan {
    bytes: Vec<u8>,
    owner: &'static LocalKey<Cell<Vec<u8>>>,
}

impl Loan {
    fn take(owner: &'static LocalKey<Cell<Vec<u8>>>) -> Loan {
        Loan { bytes: owner.take(), owner }
    }
}

impl Deref for Loan {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        if bytes.capacity() <= KEEP {
            // A thread that is ending has no use for it any more.
            let _ = self.owner.try_with(|owner| owner.set(bytes));
        }
    }
}

/// An empty buffer for output.
pub(super) fn output() -> Loan {
    let mut loan = Loan::take(&OUTPUT);
    loan.clear();
    loan
}

/// The window through which a connection reads: what the protocol left before, then what is read.
pub(super) struct Window {
    bytes: Loan,
    start: usize,
    end: usize,
}

impl Window {
    /// A window that shows `left`, with room to read behind a message of `message` bytes.
    pub(super) fn open(left: &[u8], message: usize) -> Window {
        let mut bytes = Loan::take(&INPUT);
        let needed = left.len().max(message) + READ;
        if bytes.len() < needed {
            // What was in it is nobody's; a new buffer comes zeroed from the system at no cost.
            *bytes = vec![0; needed];
        }
        bytes[..left.len()].copy_from_slice(left);
        Window { bytes, start: 0, end: left.len() }
    }

    /// What is there to be used.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Takes `count` bytes off the front.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "consumed more than there was");
    }

    /// Where to read to; [`READ`] bytes.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= mem::take(&mut self.start);
        &mut self.bytes[self.end..self.end + READ]
    }

    /// Shows `count` more bytes, which were read to [`space`](Window::space).
    pub(super) fn extend(&mut self, count: usize) {
        self.end += count;
    }
}

/// How many bytes are read at once.
pub(super) const READ: usize = 64 * 1024;

/// A buffer that had to grow beyond this goes back to the system.
const KEEP: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_keeps_what_was_left_in_front_of_what_is_read() {
        let mut window = Window::open(b"le", 16);
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
        let mut window = Window::open(&left, 16);
        assert_eq!(window.rest(), left);
        assert_eq!(window.space().len(), READ);
    }

    #[test]
    fn panic_gives_the_buffer_back() {
        let address = {
            let mut loan = output();
            loan.extend_from_slice(&[0; 100]);
            loan.as_ptr()
        };
        let panicked = std::panic::catch_unwind(|| {
            let _loan = output();
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        let loan = output();
        assert_eq!((loan.as_ptr(), loan.len()), (address, 0));
    }

    #[test]
    fn two_borrowers_get_two_buffers() {
        let mut one = output();
        let mut other = output();
        one.push(1);
        other.push(2);
        assert_eq!((&one[..], &other[..]), (&[1][..], &[2][..]));
    }
}
