//! What a poll has found nothing to do with: the directions of streams that it left pending.

use std::sync::atomic::{AtomicU8, Ordering};

use heist_reactor::Direction;

/// The directions that the current poll of one worker has left pending.
///
/// | bit | meaning |
/// |---|---|
/// | 0 | a read found no bytes |
/// | 1 | a write found no room |
///
/// Only the worker that polls writes and reads it. So each access is Relaxed, and none is a
/// read-modify-write.
#[derive(Debug, Default)]
pub(super) struct PendingDirections(AtomicU8);

impl PendingDirections {
    /// A poll begins.
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(super) fn add(&self, direction: Direction) {
        self.0.store(self.bits() | bit(direction), Ordering::Relaxed);
    }

    /// Whether the poll waits for bytes, and not for room to write.
    pub(super) fn is_read_alone(&self) -> bool {
        self.bits() == bit(Direction::Read)
    }

    fn bits(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

fn bit(direction: Direction) -> u8 {
    match direction {
        Direction::Read => 1,
        Direction::Write => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_alone_is_neither_nothing_nor_a_write() {
        let pending = PendingDirections::default();
        assert!(!pending.is_read_alone());
        pending.add(Direction::Read);
        pending.add(Direction::Read);
        assert!(pending.is_read_alone());
        pending.add(Direction::Write);
        assert!(!pending.is_read_alone());
        pending.clear();
        pending.add(Direction::Write);
        assert!(!pending.is_read_alone());
    }
}
