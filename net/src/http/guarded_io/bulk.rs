//! Large bodies: hyper is given a larger buffer for them, so that they take fewer reads.
//!
//! hyper's buffers have one bound in both directions, which it is given when it is made. A large one would
//! multiply what slow readers of answers make the server hold. So it is made anew for a large body: the
//! head is held until that is done.

use super::GuardedIo;
use crate::Transport;
use crate::http::hyper_builder::BULK_BUFFER_BYTES;

impl<T: Transport> GuardedIo<T> {
    /// Whether hyper has written all that it had to: it flushes behind each write.
    #[inline]
    pub(super) fn is_flushed(&self) -> bool {
        self.at_front && self.interim.is_empty()
    }

    /// Has hyper made anew for a large body, if that is what is held. Until then nothing passes.
    #[inline]
    pub(super) fn begin_bulk(&mut self) -> bool {
        if !self.guard.awaits_bulk() {
            return false;
        }
        if self.state.wants_rebuild() || !self.is_flushed() || !self.state.may_begin_bulk() {
            return self.state.wants_rebuild();
        }
        let budget = self.state.server().buffered();
        let charged = self.bulk_charge.set(budget, BULK_BUFFER_BYTES).is_ok();
        if charged {
            self.state.begin_bulk();
        }
        charged
    }

    /// hyper's large buffer was given up.
    pub(in crate::http) fn end_bulk(&mut self) {
        self.bulk_charge.release(self.state.server().buffered());
        self.state.end_bulk();
    }
}
