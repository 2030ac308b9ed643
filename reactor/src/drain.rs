//! The right, and the duty, to drain one direction of a source.

use crate::mutant::{self, Mutant};
use crate::readiness::Direction;
use crate::slot::Slot;

/// A direction whose ready bit was just cleared; made by
/// [`Source::poll_drain`](crate::Source::poll_drain).
///
/// Repeat the operation until it returns `WouldBlock`, then call [`drained`](Drain::drained). After
/// any other end (success, an error, an exhausted budget, a full buffer, a panic) just drop this:
/// the direction is then ready again and the next poll finds it so. A forgotten case loses nothing;
/// the worst is one try too many.
#[must_use = "dropping this makes the direction ready again"]
#[derive(Debug)]
pub struct Drain<'a> {
    slot: &'a Slot,
    direction: Direction,
    short_read_drains: bool,
}

impl<'a> Drain<'a> {
    pub(crate) fn new(slot: &'a Slot, direction: Direction, short_read_drains: bool) -> Drain<'a> {
        Drain { slot, direction, short_read_drains }
    }

    /// The operation returned `WouldBlock`: the direction becomes ready with the next edge, or is
    /// ready already if one arrived meanwhile.
    pub fn drained(self) {
        if mutant::on(Mutant::ClearAfterDrain) {
            self.slot.word.clear(self.direction);
        }
        // The bit was cleared before the drain began; only the destructor would set it.
        std::mem::forget(self);
    }

    /// Whether a read that returned fewer bytes than there was room for proves the source empty,
    /// as `WouldBlock` would. If not, read on until `WouldBlock`.
    ///
    /// True for a [`Kind::Stream`](crate::Kind::Stream) that has reported no close, no error and no
    /// urgent data; never on systems that do not report urgent data.
    #[must_use]
    pub fn short_read_drains(&self) -> bool {
        self.short_read_drains
    }
}

impl Drop for Drain<'_> {
    #[inline]
    fn drop(&mut self) {
        // When a model fails, loom unwinds its other threads after their atomics are gone.
        if cfg!(heist_loom) && std::thread::panicking() {
            return;
        }
        if self.slot.word.put_back(self.direction) {
            self.slot.wake(self.direction);
        }
    }
}
