//! Operations that a signal may interrupt.

use std::io;

/// Repeats `operation` while a signal interrupts it.
///
/// # Errors
/// Those of the operation, except [`Interrupted`](io::ErrorKind::Interrupted).
///
/// ```
/// use std::io::{self, ErrorKind};
///
/// let mut outcomes = [Err(ErrorKind::Interrupted.into()), Ok(7)].into_iter();
/// let outcome: io::Result<u8> = heist::reactor::uninterrupted(|| outcomes.next().unwrap());
/// assert_eq!(outcome.unwrap(), 7);
/// ```
#[inline]
pub fn uninterrupted<R>(mut operation: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn signals_do_not_end_an_operation() {
        let mut signals = 3;
        let outcome = uninterrupted(|| match signals {
            0 => Ok(7),
            _ => {
                signals -= 1;
                Err(io::ErrorKind::Interrupted.into())
            }
        });
        assert_eq!(outcome.unwrap(), 7);
    }
}
