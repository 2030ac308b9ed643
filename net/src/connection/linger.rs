//! The patience with a peer that still sends after the last output.
//!
//! A socket that is closed while it holds unread bytes answers with a reset, and a reset can make the
//! peer throw away what it has not read yet: the very answer that explains the close. So after the
//! last output the sending direction is shut down, and what the peer still sends is read and dropped
//! for a while.

use std::io;
use std::task::{Poll, ready};

/// How many bytes are still read and dropped while the peer is waited for. The time is a deadline of
/// the connection.
#[derive(Debug)]
pub(crate) struct Linger {
    /// `None` once it is over.
    bytes_left: Option<usize>,
}

impl Linger {
    /// Drops up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Linger {
        Linger { bytes_left: Some(limit) }
    }

    /// Reads by `discard` until the peer has closed or broken the connection, or has sent more than
    /// the limit. `discard` reads something, drops it, and returns how many bytes that were.
    pub(crate) fn poll(
        &mut self,
        mut discard: impl FnMut() -> Poll<io::Result<usize>>,
    ) -> Poll<()> {
        while let Some(left) = self.bytes_left {
            self.bytes_left = match ready!(discard()) {
                Ok(count @ 1..) => left.checked_sub(count),
                // The output was handed over: what ends the wait is no error any more.
                Ok(0) | Err(_) => None,
            };
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lingers while `reads` come, one after the other, and returns how many were taken.
    fn taken(limit: usize, reads: &[usize]) -> (Poll<()>, usize) {
        let mut reads = reads.iter();
        let mut linger = Linger::new(limit);
        let total = reads.len();
        let polled = linger.poll(|| reads.next().map_or(Poll::Pending, |&n| Poll::Ready(Ok(n))));
        (polled, total - reads.len())
    }

    #[test]
    fn bytes_are_dropped_up_to_the_limit_and_not_beyond() {
        assert_eq!(taken(10, &[5, 5]), (Poll::Pending, 2));
        assert_eq!(taken(10, &[5, 5, 1, 1]), (Poll::Ready(()), 3));
        assert_eq!(taken(0, &[]), (Poll::Pending, 0));
        assert_eq!(taken(0, &[1, 1]), (Poll::Ready(()), 1));
    }

    #[test]
    fn close_and_reset_of_the_peer_end_it_for_good() {
        assert_eq!(taken(10, &[5, 0, 5]), (Poll::Ready(()), 2));
        let mut linger = Linger::new(10);
        let reset = || Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        assert_eq!(linger.poll(reset), Poll::Ready(()));
        assert_eq!(linger.poll(|| unreachable!("it is over")), Poll::Ready(()));
    }
}
