//! The order of a turn: all that has happened since the last one, then one write.

use std::task::Poll;

use heist_scheduler::time::Instant;

use super::scratch::{self, Scratch};
use super::shell::Shell;
use super::state::{Engine, Flow, Phase};
use super::turn::Turn;
use crate::connection::close_reason::CloseReason;
use crate::protocol::Protocol;
use crate::protocol::actions::Actions;
use crate::protocol::inbox::Taken;
use crate::protocol::termination::Termination;

impl<P: Protocol> Engine<P> {
    /// Does one turn at `now`, bounded in time. Asks for another by [`Shell::wake`] if there is more
    /// to do. Ready once the connection has ended; then [`end`](Engine::end) follows.
    ///
    /// On the usual path one read finds whole messages, one write takes all answers, and nothing is
    /// kept. That path is inline from here on down, and everything else is out of line.
    #[inline]
    pub(in crate::protocol) fn turn<S>(&mut self, now: Instant, shell: &mut S) -> Poll<CloseReason>
    where
        S: Shell<Message = P::Message>,
    {
        self.in_turn = true;
        if matches!(self.phase, Phase::New | Phase::Open) {
            let turned = scratch::lend(|scratch| self.turn_open(now, scratch, shell));
            let Poll::Ready(termination) = turned else {
                self.in_turn = false;
                return Poll::Pending;
            };
            if let Some(reason) = self.begin_closing(*termination, shell) {
                return Poll::Ready(self.told_apart(reason));
            }
        }
        self.turn_closing(now, shell)
    }

    #[inline]
    fn turn_open<S>(
        &mut self,
        now: Instant,
        scratch: &mut Scratch,
        shell: &mut S,
    ) -> Poll<Box<Termination>>
    where
        S: Shell<Message = P::Message>,
    {
        let limits = shell.limits();
        let mut turn = Turn {
            now,
            output: &mut scratch.output,
            actions: Actions::default(),
            capacity: limits.high().saturating_sub(self.backlog()),
            limit: limits.message(),
            draining: self.must_tell_of_drain(shell),
            fed: false,
            unfinished: false,
        };
        let done = match self.dispatch(&mut scratch.input, &mut turn, shell) {
            Ok(()) => self.conclude(&mut turn, shell),
            termination => termination,
        };
        if let Err(termination) = done {
            return Poll::Ready(self.flush_before(termination, &mut turn, shell));
        }
        if turn.unfinished {
            shell.wake();
        }
        Poll::Pending
    }

    /// Tells the protocol what has happened, in the order that its module promises.
    #[inline]
    fn dispatch<S>(
        &mut self,
        input: &mut Vec<u8>,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<(), Box<Termination>>
    where
        S: Shell<Message = P::Message>,
    {
        if self.phase == Phase::New || self.flow == Flow::Resumed {
            self.begin(turn)?;
        }
        if self.flow == Flow::Running {
            self.receive(input, turn, shell)?;
            if shell.has_inbox() {
                self.take_messages(turn, shell)?;
            }
        } else {
            check_abort(shell)?;
        }
        if turn.draining {
            self.handle_drain(turn, shell)?;
        }
        self.handle_deadline(turn)
    }

    /// What comes before the input: the protocol is told that the connection is open, or that there
    /// is room for output again.
    #[cold]
    fn begin(&mut self, turn: &mut Turn<'_>) -> Result<(), Box<Termination>> {
        if self.phase == Phase::New {
            self.phase = Phase::Open;
            self.last_activity = turn.now;
            self.protocol.opened(&mut turn.context());
            turn.check_close()?;
        }
        if self.flow == Flow::Resumed {
            self.flow = Flow::Running;
            self.protocol.writable(&mut turn.context());
            turn.check_close()?;
        }
        self.handle_pause(turn);
        Ok(())
    }

    /// Gives the protocol the messages of other tasks, while the output has room.
    fn take_messages<S>(
        &mut self,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<(), Box<Termination>>
    where
        S: Shell<Message = P::Message>,
    {
        for _ in 0..MESSAGES {
            if turn.is_full() {
                return check_abort(shell);
            }
            match shell.poll_message() {
                Poll::Pending => return Ok(()),
                Poll::Ready(Taken::Abort) => {
                    return Err(Termination::immediate(CloseReason::Aborted));
                }
                Poll::Ready(Taken::Message(message)) => {
                    self.protocol.message(message, &mut turn.context());
                }
            }
            turn.check_close()?;
        }
        turn.unfinished = true;
        Ok(())
    }

    /// Sends what was written, and accounts for memory and time.
    #[inline]
    fn conclude<S: Shell>(
        &mut self,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<(), Box<Termination>> {
        self.handle_pause(turn);
        if let Err(error) = self.flush(turn, shell) {
            return Err(Termination::immediate(error));
        }
        if self.buffers.is_some() {
            self.account(shell)?;
        }
        self.handle_limits(turn, shell)
    }

    /// A turn ends the connection: what was written before is sent first.
    #[cold]
    fn flush_before<S: Shell>(
        &mut self,
        termination: Box<Termination>,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Box<Termination> {
        if matches!(*termination, Termination::Immediate(_)) {
            return termination;
        }
        self.tell_of_long_message(&termination, turn);
        match self.flush_last(turn, shell) {
            Ok(()) => termination,
            Err(error) => Termination::immediate(termination.into_reason().or(error.into())),
        }
    }
}

/// Where messages are not taken: whether another task wants the connection to end.
fn check_abort(shell: &mut impl Shell) -> Result<(), Box<Termination>> {
    match shell.poll_abort() {
        Poll::Ready(()) => Err(Termination::immediate(CloseReason::Aborted)),
        Poll::Pending => Ok(()),
    }
}

/// How many messages of other tasks a turn takes.
const MESSAGES: usize = 128;
