//! Boolean flags of a connection, packed into one byte.

/// Some of the marks below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    pub(super) const NONE: Marks = Marks(0);
    /// What is kept of the input may hold whole messages: the protocol was stopped by a full output,
    /// or by a pause. Cleared once it has asked for more input.
    pub(super) const UNFED: Marks = Marks(1 << 0);
    /// The peer has finished sending, and the protocol was told. Never cleared.
    pub(super) const INPUT_ENDED: Marks = Marks(1 << 1);
    /// A poll is under way: set and cleared by it. Found set by the destructor, the poll panicked.
    pub(super) const POLLING: Marks = Marks(1 << 2);
    /// It is all that its task does: always polled by that one, and dropped at its end. Set before the
    /// first poll, by the host that made the task.
    pub(super) const OWN_TASK: Marks = Marks(1 << 3);

    #[inline]
    pub(super) fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 != 0
    }

    #[inline]
    pub(super) fn set(&mut self, mark: Marks) {
        self.0 |= mark.0;
    }

    #[inline]
    pub(super) fn clear(&mut self, mark: Marks) {
        self.0 &= !mark.0;
    }
}
