//! What one turn of an open connection collects.

use heist_scheduler::time::Instant;

use crate::protocol::Context;
use crate::protocol::actions::Actions;
use crate::protocol::termination::Termination;

/// What one turn of an open connection collects.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    /// What the protocol has written in this turn.
    pub(super) output: &'a mut Vec<u8>,
    pub(super) actions: Actions,
    /// How much may be written before the high watermark is reached.
    pub(super) capacity: usize,
    /// How much input the protocol may see in one call.
    pub(super) limit: usize,
    /// The server drains, and the protocol has not been told.
    pub(super) draining: bool,
    /// The protocol took some of the input.
    pub(super) fed: bool,
    /// Something is left to do of which no event will tell.
    pub(super) unfinished: bool,
}

impl Turn<'_> {
    #[inline]
    pub(super) fn context(&mut self) -> Context<'_> {
        Context {
            now: self.now,
            output: self.output,
            actions: &mut self.actions,
            capacity: self.capacity,
        }
    }

    /// `Err` if the protocol asked for an end.
    #[inline]
    pub(super) fn check_close(&mut self) -> Result<(), Box<Termination>> {
        self.actions.check_close()
    }

    /// Whether the output has reached the high watermark.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.output.len() >= self.capacity
    }
}
