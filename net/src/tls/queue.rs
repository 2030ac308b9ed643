//! Bytes that wait in a connection.

/// Bytes that are taken from the front. It owns no memory while it is empty.
#[derive(Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    /// How many of them were taken.
    start: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// What waits.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// What waits, to be changed in place.
    pub(super) fn waiting_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// The memory of it.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Takes `count` bytes off the front.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.bytes.len(), "consumed more than there was");
        if self.is_empty() {
            *self = Queue::default();
        }
    }

    /// Appends `bytes`.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.make_front();
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends `count` bytes for the caller to fill.
    pub(super) fn extend(&mut self, count: usize) -> &mut [u8] {
        self.make_front();
        let end = self.bytes.len();
        self.bytes.resize(end + count, 0);
        &mut self.bytes[end..]
    }

    /// Replaces what waits by `bytes`.
    pub(super) fn replace(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            *self = Queue::default();
            return;
        }
        self.start = 0;
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }

    /// Frees the place of what was taken.
    fn make_front(&mut self) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_and_an_empty_queue_owns_no_memory() {
        let mut queue = Queue::default();
        queue.append(b"one ");
        queue.consume(2);
        queue.append(b"two ");
        queue.extend(5).copy_from_slice(b"three");
        assert_eq!(queue.waiting(), b"e two three");
        queue.consume(11);
        assert!(queue.is_empty());
        assert_eq!(queue.memory(), 0);
        queue.replace(b"new");
        assert_eq!(queue.waiting(), b"new");
        queue.replace(b"");
        assert_eq!(queue.memory(), 0);
    }
}
