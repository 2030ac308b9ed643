//! What a connection waits for in time: the protocol's deadline, and its limits.
//!
//! One timer for all of them, and lazy: what happens stores when it happened, and moves the timer
//! only if it brings something nearer. When the timer fires, this looks what is due, which mostly
//! is nothing, and sets it to whatever comes first.

use std::ops::Range;
use std::task;

use heist_scheduler::time::Instant;

use super::connection::{Connection, Flow};
use super::marks::Marks;
use super::round::Round;
use super::{End, Protocol, Stop};
use crate::connection::close_reason::CloseReason;

impl<P: Protocol> Connection<P> {
    /// Calls the protocol's deadline if it has passed.
    #[inline]
    pub(super) fn see_to_deadline(&mut self, round: &mut Round<'_>) -> Result<(), Stop> {
        if round.wants_deadline() {
            self.take_deadline(round);
        }
        if self.deadline > round.now { Ok(()) } else { self.call_deadline(round) }
    }

    #[cold]
    fn call_deadline(&mut self, round: &mut Round<'_>) -> Result<(), Stop> {
        self.deadline = Instant::FAR_FUTURE;
        self.protocol.deadline(&mut round.context());
        round.go_on()?;
        self.take_deadline(round);
        Ok(())
    }

    /// Ends the connection at a limit, and sees to it that the task is woken for the next.
    #[inline]
    pub(super) fn watch_deadlines(
        &mut self,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<(), Stop> {
        if self.rests(round, cx) { Ok(()) } else { self.look_at_deadlines(round, cx) }
    }

    /// Whether nothing is due, and the timer will wake the task in time for what comes first. Being
    /// idle never comes first: that deadline only moves later.
    #[inline]
    fn rests(&self, round: &Round<'_>, cx: &task::Context<'_>) -> bool {
        self.kept.is_none() && !round.draining && self.timer_rests(round.now, cx)
    }

    /// Whether the timer will wake the task that polls.
    #[inline]
    fn timer_rests(&self, now: Instant, cx: &task::Context<'_>) -> bool {
        match self.marks.has(Marks::OWN_TASK) {
            true => self.timer.covers_same_task(self.deadline, now),
            false => self.timer.covers(self.deadline, now, cx),
        }
    }

    #[cold]
    fn look_at_deadlines(
        &mut self,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<(), Stop> {
        let late_input = self.overdue(round.now, INPUT);
        // What came in time counts, though the event that tells of it is still to be taken from the
        // queue. The task comes back until it is.
        let unread = late_input.is_some() && self.has_unread();
        if let Some(reason) = late_input.filter(|_| !unread) {
            return Err(End::at_once(reason));
        }
        if let Some(reason) = self.overdue(round.now, OUTPUT) {
            return Err(End::at_once(reason));
        }
        if unread {
            self.hear_of_the_drain(round, cx);
            round.unfinished = true;
            return Ok(());
        }
        let next = self.next_deadline(round.now);
        // One that has passed already is for the next round.
        round.unfinished |= self.timer.arm(next, round.now, cx).is_ready();
        self.hear_of_the_drain(round, cx);
        Ok(())
    }

    fn take_deadline(&mut self, round: &mut Round<'_>) {
        if let Some(deadline) = round.take_deadline() {
            self.deadline = deadline.unwrap_or(Instant::FAR_FUTURE);
        }
    }

    /// The limit among these that was passed, if one was.
    fn overdue(&self, now: Instant, limits: Range<usize>) -> Option<CloseReason> {
        let passed = |(at, reason): &(Instant, fn() -> CloseReason)| (*at <= now).then(reason);
        self.limit_times(now)[limits].iter().find_map(passed)
    }

    /// Whether there is input that this would read, had it heard of it.
    pub(super) fn has_unread(&self) -> bool {
        self.flow == Flow::Running && matches!(self.source.io().peek(&mut [0]), Ok(1..))
    }

    fn next_deadline(&self, now: Instant) -> Instant {
        let limit = self.limit_times(now).map(|(at, _)| at).into_iter().min();
        // While the output is full, the end of a pause changes nothing.
        let paused = self.kept.as_ref().and_then(|kept| kept.paused_until);
        let paused = paused.filter(|_| self.flow == Flow::Running);
        // After that time the drain waits for input alone, which wakes the task.
        let draining = self.is_draining().then(|| self.drain_time(now)).filter(|at| *at > now);
        let first = limit.into_iter().chain(paused).chain(draining).min();
        self.deadline.min(first.unwrap_or(Instant::FAR_FUTURE))
    }

    /// When each limit is reached if nothing happens before: those of [`INPUT`], then of [`OUTPUT`].
    fn limit_times(&self, now: Instant) -> [(Instant, fn() -> CloseReason); 5] {
        let limits = self.bounds();
        let mut times: [(Instant, fn() -> CloseReason); 5] = [
            (self.touched.seen_from(now) + limits.idle_timeout, || CloseReason::IdleTimeout),
            (Instant::FAR_FUTURE, || CloseReason::HeaderTimeout),
            (Instant::FAR_FUTURE, || CloseReason::TooSlow),
            (Instant::FAR_FUTURE, || CloseReason::WriteTimeout),
            (Instant::FAR_FUTURE, || CloseReason::TooSlow),
        ];
        let Some(kept) = &self.kept else { return times };
        if kept.paused_until.is_some() {
            times[0].0 = Instant::FAR_FUTURE;
        }
        // Whole messages that wait are not the peer's fault.
        let waits = self.marks.has(Marks::UNFED) || kept.paused_until.is_some();
        if !kept.input.is_empty() && !waits {
            let since = kept.input_rate.waiting_since().unwrap_or(now);
            times[1].0 = since + limits.message_timeout;
            times[2].0 = kept.input_rate.deadline(limits.receive_rate());
        }
        if kept.backlog.len() > 0 {
            times[3].0 = kept.taken_at + limits.write_timeout;
            times[4].0 = kept.output_rate.deadline(limits.send_rate());
        }
        times
    }
}

/// The limits that input keeps from being reached.
const INPUT: Range<usize> = 0..3;

/// The others.
const OUTPUT: Range<usize> = 3..5;
