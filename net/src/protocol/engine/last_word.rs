//! The last word of a protocol whose connection ends at a limit.

use super::shell::Shell;
use super::state::Engine;
use super::turn::Turn;
use crate::connection::close_reason::CloseReason;
use crate::protocol::Protocol;
use crate::protocol::termination::Termination;

impl<P: Protocol> Engine<P> {
    /// Ends the connection at a limit of time, behind the flush of a turn: at once, unless the protocol
    /// has something to say and the peer takes what it is sent.
    #[cold]
    pub(super) fn end_at_limit(
        &mut self,
        reason: CloseReason,
        turn: &mut Turn<'_>,
        shell: &impl Shell,
    ) -> Box<Termination> {
        if self.backlog() > 0 {
            return Termination::immediate(reason);
        }
        // What the turn has written was sent.
        turn.output.clear();
        turn.capacity = shell.limits().high();
        self.protocol.limit_reached(&reason, &mut turn.context());
        match turn.output.is_empty() {
            true => Termination::immediate(reason),
            false => Termination::graceful(reason),
        }
    }

    /// Gives the protocol the last word where a message is too long. What the turn has written was not
    /// sent yet, and the end is one in good order anyway.
    pub(super) fn tell_of_long_message(&mut self, termination: &Termination, turn: &mut Turn<'_>) {
        if let Termination::Graceful(reason @ CloseReason::MessageTooLong { .. }) = termination {
            self.protocol.limit_reached(reason, &mut turn.context());
        }
    }
}
