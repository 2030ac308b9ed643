//! Large bodies: hyper is given a larger buffer for them, so that they take fewer reads.
//!
//! hyper's buffers have one bound in both directions, which it is given when it is made. A large one would
//! multiply what slow readers of answers make the server hold. So it is made anew for a large body: the
//! head is held until that is done.

use super::GuardedIo;
use crate::Transport;

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
        self.state.begin_bulk()
    }
}
