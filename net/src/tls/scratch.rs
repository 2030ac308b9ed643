//! Buffers that belong to the thread, lent to one connection at a time.
//!
//! Ciphertext is read, decrypted and encrypted in them, so that an idle connection owns none. What they
//! hold means nothing between two loans.

use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::NEW) };
}

/// What a read or a write needs.
pub(super) struct Scratch {
    /// Ciphertext that was read.
    pub(super) input: Vec<u8>,
    /// Ciphertext to be written.
    pub(super) output: Vec<u8>,
    /// Plaintext on its way to a reader. Empty while it is lent apart from the others.
    #[cfg_attr(not(feature = "hyper"), expect(dead_code, reason = "read by hyper alone"))]
    pub(super) plaintext: Vec<u8>,
    /// Plaintext of one record, gathered from several slices.
    pub(super) gathered: Vec<u8>,
}

/// Calls `with` with the thread's buffers. A loan inside of another one gets new buffers for as long.
pub(super) fn lend<R>(with: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with(|owner| {
        let (mut lent, mut fresh);
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
        let result = with(scratch);
        scratch.give_back();
        result
    })
}

impl Scratch {
    const NEW: Scratch = Scratch {
        input: Vec::new(),
        output: Vec::new(),
        plaintext: Vec::new(),
        gathered: Vec::new(),
    };

    /// Returns to the system what had to grow for one connection.
    fn give_back(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.capacity() > KEEP {
                *buffer = Vec::new();
            }
        }
    }
}

/// The first `length` bytes of `buffer`, which grows where it is shorter. What they hold is unspecified.
pub(super) fn front(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

/// Buffers that had to grow beyond this are not kept.
const KEEP: usize = 256 * 1024;
