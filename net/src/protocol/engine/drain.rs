//! The drain of the server, as one connection takes part in it.

use heist_scheduler::time::Instant;

use super::shell::Shell;
use super::state::{Drain, Engine};
use super::turn::Turn;
use crate::connection::close_reason::CloseReason;
use crate::protocol::Protocol;
use crate::protocol::termination::Termination;

impl<P: Protocol> Engine<P> {
    /// Whether the server drains and the protocol is still to be told.
    #[inline]
    pub(super) fn must_tell_of_drain(&self, shell: &impl Shell) -> bool {
        self.drain == Drain::Untold && shell.is_draining()
    }

    /// Tells the protocol that the server drains, when it is time to.
    ///
    /// A message that is half there is waited for, and so is input that a pause holds back. A
    /// connection that was used just now may have another message on its way and is waited for, too,
    /// unless this turn has brought one: the answer to that is the last.
    #[cold]
    pub(super) fn handle_drain(
        &mut self,
        turn: &mut Turn<'_>,
        shell: &mut impl Shell,
    ) -> Result<(), Box<Termination>> {
        if self.buffers.as_ref().is_some_and(|buffers| !buffers.input.is_empty()) {
            return Ok(());
        }
        if !turn.fed && turn.now < self.drain_time(shell) {
            return Ok(());
        }
        if !turn.fed && self.has_unread(shell) {
            turn.unfinished |= !self.is_paused(turn.now);
            return Ok(());
        }
        let busy = turn.fed || self.backlog() > 0;
        self.drain = if busy { Drain::ToldBusy } else { Drain::ToldIdle };
        self.protocol.draining(&mut turn.context());
        turn.check_close()
    }

    /// Until when one more message is waited for when the server drains.
    pub(super) fn drain_time(&self, shell: &impl Shell) -> Instant {
        self.last_activity + shell.drain_linger()
    }

    /// An end that the protocol chose, told apart by whether the drain had asked for it.
    pub(super) fn told_apart(&self, reason: CloseReason) -> CloseReason {
        match (reason, self.drain) {
            (CloseReason::Finished | CloseReason::Aborted, Drain::ToldIdle) => {
                CloseReason::IdleDrained
            }
            (CloseReason::Finished | CloseReason::Aborted, Drain::ToldBusy) => CloseReason::Drained,
            (reason, _) => reason,
        }
    }
}
