//! A buffer that belongs to the thread, lent to one read at a time.

use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `with` with a buffer of [`READ`] bytes, whose content is unspecified. A loan inside of
/// another one gets a buffer of its own.
pub(super) fn lend<R>(with: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with(|owner| match owner.try_borrow_mut() {
        Ok(mut buffer) => {
            if buffer.is_empty() {
                *buffer = new();
            }
            with(&mut buffer)
        }
        Err(_) => with(&mut new()),
    })
}

/// A buffer of [`READ`] bytes.
pub(super) fn new() -> Vec<u8> {
    vec![0; READ]
}

/// How many bytes are read at once.
pub(super) const READ: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_borrowers_get_two_buffers() {
        lend(|one| {
            one[0] = 1;
            lend(|other| other[0] = 2);
            assert_eq!((one[0], one.len()), (1, READ));
        });
    }

    #[test]
    fn buffer_is_kept_for_the_next_loan_after_a_panic() {
        let address = lend(|buffer| buffer.as_ptr().addr());
        std::panic::catch_unwind(|| lend(|_| panic!("on purpose"))).unwrap_err();
        assert_eq!(lend(|buffer| buffer.as_ptr().addr()), address);
    }
}
