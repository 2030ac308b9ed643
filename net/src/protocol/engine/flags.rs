//! Boolean flags of an engine, packed into one byte.

/// A set of the flags below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const NONE: Flags = Flags(0);
    /// The input that is kept may hold whole messages: a full output or a pause has stopped the
    /// protocol. Cleared once it has asked for more input.
    pub(super) const UNFED: Flags = Flags(1 << 0);
    /// The peer has finished sending, and the protocol was told. Never cleared.
    pub(super) const INPUT_ENDED: Flags = Flags(1 << 1);
    /// A turn is under way: set by it, and cleared by it or by the end that follows. If the engine
    /// is dropped with it, the protocol has panicked.
    pub(super) const IN_TURN: Flags = Flags(1 << 2);

    #[inline]
    pub(super) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    #[inline]
    pub(super) fn set(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }

    #[inline]
    pub(super) fn clear(&mut self, flag: Flags) {
        self.0 &= !flag.0;
    }
}
