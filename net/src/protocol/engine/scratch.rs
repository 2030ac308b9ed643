//! Buffers that belong to the thread, lent to one engine at a time.
//!
//! A turn inside of another one gets new buffers for as long.

use std::cell::RefCell;
use std::mem;
use std::ops::Range;

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::NEW) };
}

/// What a turn needs, together, so that it asks the thread once.
pub(super) struct Scratch {
    /// For a [`Window`]. What it holds means nothing between two turns.
    pub(super) input: Vec<u8>,
    /// Empty when it is lent.
    pub(super) output: Vec<u8>,
}

/// Calls `with` with the thread's buffers. They survive a panic in it.
#[inline]
pub(super) fn lend<R>(with: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with(|owner| {
        let (mut lent, mut fresh);
        // One way to the call, so that it can be inline.
        let scratch = match owner.try_borrow_mut() {
            Ok(scratch) => {
                lent = scratch;
                &mut *lent
            }
            Err(_) => {
                fresh = Scratch::NEW;
                &mut fresh
            }
        };
        scratch.output.clear();
        let result = with(scratch);
        if scratch.input.capacity() > KEEP || scratch.output.capacity() > KEEP {
            *scratch = Scratch::NEW;
        }
        result
    })
}

impl Scratch {
    const NEW: Scratch = Scratch { input: Vec::new(), output: Vec::new() };
}

/// Where to read to when nothing was left before; [`READ`] bytes.
#[inline]
pub(super) fn space(buffer: &mut Vec<u8>) -> &mut [u8] {
    if buffer.len() < READ {
        grow(buffer, 0);
    }
    &mut buffer[..READ]
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

    /// A window in `buffer` that shows what is at `shown`.
    pub(super) fn at(buffer: &'a mut Vec<u8>, shown: Range<usize>) -> Window<'a> {
        Window { bytes: buffer, start: shown.start, end: shown.end }
    }

    /// What is there to be used.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether there is nothing to be used.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
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
        if self.is_empty() {
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

/// Scratch that had to grow beyond this go back to the system.
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

    /// Where the thread's output buffer is.
    fn output_address() -> usize {
        lend(|scratch| {
            assert!(scratch.output.is_empty());
            scratch.output.reserve(100);
            scratch.output.as_ptr().addr()
        })
    }

    #[test]
    fn panic_gives_the_buffers_back() {
        let address = output_address();
        let panicked = std::panic::catch_unwind(|| {
            lend(|scratch| {
                scratch.output.push(1);
                panic!("on purpose");
            })
        });
        assert!(panicked.is_err());
        assert_eq!(output_address(), address);
    }

    #[test]
    fn two_borrowers_get_two_buffers() {
        lend(|one| {
            one.output.push(1);
            lend(|other| other.output.push(2));
            assert_eq!(&one.output[..], &[1][..]);
        });
    }

    #[test]
    fn a_great_buffer_is_not_kept() {
        lend(|scratch| scratch.output.reserve(KEEP + 1));
        lend(|scratch| assert!(scratch.output.capacity() <= KEEP));
    }
}
