//! What a connection waits for in time: the protocol's deadline, and its limits.
//!
//! One timer for all of them, and lazy: what happens stores when it happened, and a turn moves the
//! timer only if it brings something nearer. When the timer fires, the turn looks what is due, which
//! mostly is nothing, and asks for the next one at whatever comes first.

use std::ops::Range;

use heist_scheduler::time::Instant;

use super::shell::Shell;
use super::state::{Engine, Flow};
use super::turn::Turn;
use crate::connection::close_reason::CloseReason;
use crate::connection::limits::Limits;
use crate::protocol::Protocol;
use crate::protocol::termination::Termination;

impl<P: Protocol> Engine<P> {
    /// Calls the protocol's deadline if it has passed.
    #[inline]
    pub(super) fn handle_deadline(&mut self, turn: &mut Turn<'_>) -> Result<(), Box<Termination>> {
        if turn.actions.changes_deadline() {
            self.set_deadline(turn);
        }
        if self.deadline > turn.now { Ok(()) } else { self.call_deadline(turn) }
    }

    #[cold]
    fn call_deadline(&mut self, turn: &mut Turn<'_>) -> Result<(), Box<Termination>> {
        self.deadline = Instant::FAR_FUTURE;
        self.protocol.deadline(&mut turn.context());
        turn.check_close()?;
        self.set_deadline(turn);
        Ok(())
    }

    fn set_deadline(&mut self, turn: &mut Turn<'_>) {
        if let Some(deadline) = turn.actions.take_deadline() {
            self.deadline = deadline.unwrap_or(Instant::FAR_FUTURE);
        }
    }

    /// Ends the connection at a limit, and has a turn come for the next deadline.
    #[inline]
    pub(super) fn handle_limits(
        &mut self,
        turn: &mut Turn<'_>,
        shell: &mut impl Shell,
    ) -> Result<(), Box<Termination>> {
        // Being idle never comes first: that deadline only moves later.
        let covered =
            self.buffers.is_none() && !turn.draining && shell.covers(self.deadline, turn.now);
        if covered { Ok(()) } else { self.check_limits(turn, shell) }
    }

    #[cold]
    fn check_limits(
        &mut self,
        turn: &mut Turn<'_>,
        shell: &mut impl Shell,
    ) -> Result<(), Box<Termination>> {
        let times = self.limit_times(turn.now, shell.limits());
        let late_input = overdue(&times, turn.now, INPUT);
        // What came in time counts, though the event that tells of it is still to be taken from the
        // queue. Another turn comes until it is.
        let unread = late_input.is_some() && self.has_unread(shell);
        if let Some(reason) = late_input.filter(|_| !unread) {
            return Err(self.end_at_limit(reason, turn, shell));
        }
        if let Some(reason) = overdue(&times, turn.now, OUTPUT) {
            return Err(Termination::immediate(reason));
        }
        if unread {
            turn.unfinished = true;
            return Ok(());
        }
        let next = self.next_deadline(&times, turn.now, shell);
        turn.unfinished |= shell.wake_at(next, turn.now).is_ready();
        // A shell may see a drain only since `wake_at`.
        turn.unfinished |= self.must_tell_of_drain(shell) && !turn.draining;
        Ok(())
    }

    /// Whether there is input that this would read, but for an event that is still in the queue.
    pub(super) fn has_unread(&self, shell: &impl Shell) -> bool {
        self.flow == Flow::Running && shell.has_unread()
    }

    fn next_deadline(&self, limits: &[Limit], now: Instant, shell: &impl Shell) -> Instant {
        // While the output is full, the end of a pause changes nothing.
        let paused = self.paused_until().filter(|_| self.flow == Flow::Running);
        // After that time the drain waits for input alone, which brings a turn.
        let draining = self.must_tell_of_drain(shell).then(|| self.drain_time(shell));
        let draining = draining.filter(|at| *at > now);
        let limits = limits.iter().map(|(at, _)| *at);
        limits.chain(paused).chain(draining).fold(self.deadline, Instant::min)
    }

    /// When each limit is reached if nothing happens before: those of [`INPUT`], then of [`OUTPUT`].
    fn limit_times(&self, now: Instant, limits: &Limits) -> [Limit; 5] {
        let idle = self.last_activity + limits.idle_timeout;
        let mut times: [Limit; 5] = [
            (idle, || CloseReason::IdleTimeout),
            (Instant::FAR_FUTURE, || CloseReason::HeaderTimeout),
            (Instant::FAR_FUTURE, || CloseReason::TooSlow),
            (Instant::FAR_FUTURE, || CloseReason::WriteTimeout),
            (Instant::FAR_FUTURE, || CloseReason::TooSlow),
        ];
        let Some(buffers) = &self.buffers else { return times };
        if buffers.paused_until.is_some() {
            times[0].0 = Instant::FAR_FUTURE;
        }
        // Whole messages that wait are not the peer's fault.
        let waits = self.unfed || buffers.paused_until.is_some();
        if !buffers.input.is_empty() && !waits {
            let since = buffers.input_rate.waiting_since().unwrap_or(now);
            times[1].0 = since + limits.message_timeout;
            times[2].0 = buffers.input_rate.deadline(limits.receive_rate());
        }
        if buffers.backlog.len() > 0 {
            times[3].0 = buffers.taken_at + limits.write_timeout;
            times[4].0 = buffers.output_rate.deadline(limits.send_rate());
        }
        times
    }
}

/// The limit among these that was passed, if one was.
fn overdue(times: &[Limit; 5], now: Instant, limits: Range<usize>) -> Option<CloseReason> {
    times[limits].iter().find_map(|(at, reason)| (*at <= now).then(reason))
}

/// When a limit is reached, and the reason for which the connection ends then.
type Limit = (Instant, fn() -> CloseReason);

/// The limits that input keeps from being reached.
const INPUT: Range<usize> = 0..3;

/// The others.
const OUTPUT: Range<usize> = 3..5;
