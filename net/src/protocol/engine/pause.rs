//! Pauses of the input, which the protocol asks for.

use heist_scheduler::time::Instant;

use super::state::Engine;
use super::turn::Turn;
use crate::protocol::Protocol;

impl<P: Protocol> Engine<P> {
    /// Pauses the input or resumes it, if the protocol asked for that.
    #[inline]
    pub(super) fn handle_pause(&mut self, turn: &mut Turn<'_>) {
        if turn.actions.changes_pause() {
            self.set_pause(turn);
        }
    }

    #[cold]
    fn set_pause(&mut self, turn: &mut Turn<'_>) {
        let Some(until) = turn.actions.take_pause() else { return };
        if until > turn.now {
            self.buffers().paused_until = Some(until);
            return;
        }
        match &mut self.buffers {
            Some(buffers) if buffers.paused_until.is_some() => buffers.paused_until = Some(until),
            // A pause that began in this turn has stopped the input. No event will tell of it.
            _ if self.unfed => {}
            // There was no pause.
            _ => return,
        }
        if self.buffers.is_none() {
            self.unfed = false;
        }
        turn.unfinished = true;
    }

    /// Whether the input is paused at `now`.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.paused_until().is_some_and(|until| until > now)
    }

    /// The end of the pause, which may have passed.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.buffers.as_ref().and_then(|buffers| buffers.paused_until)
    }

    /// Ends a pause that is over at `now`: the time limits of the input begin anew.
    pub(super) fn end_pause(&mut self, now: Instant) {
        let Some(buffers) = &mut self.buffers else { return };
        if buffers.paused_until.take_if(|until| *until <= now).is_some() {
            buffers.input_rate.restart(now);
            self.last_activity = now;
        }
    }
}
