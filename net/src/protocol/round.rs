//! One round of an open connection: all that has happened since, then one write.

use std::io;
use std::task::{self, Poll, ready};

use heist_scheduler::coop::{self, PollInfo};
use heist_scheduler::time::Instant;

use super::connection::{Connection, Flow, Phase};
use super::context::Orders;
use super::inbox::Taken;
use super::marks::Marks;
use super::scratch::{self, Buffers};
use super::{Context, End, Protocol, Stop};
use crate::connection::close_reason::CloseReason;
use crate::connection::coarse_instant::CoarseInstant;

/// What a round collects.
pub(super) struct Round<'a> {
    pub(super) now: Instant,
    pub(super) output: &'a mut Vec<u8>,
    orders: Orders,
    /// How much may be written before the high watermark is reached.
    capacity: usize,
    /// How much input the protocol may see in one call.
    pub(super) limit: usize,
    /// Bytes that passed through the socket.
    pub(super) read: usize,
    pub(super) written: usize,
    /// The server drains, which the protocol has not been told.
    pub(super) draining: bool,
    /// The protocol took some of the input.
    pub(super) fed: bool,
    /// Something is left to do that no waker will tell of.
    pub(super) unfinished: bool,
}

impl Round<'_> {
    #[inline]
    pub(super) fn context(&mut self) -> Context<'_> {
        Context {
            now: self.now,
            output: self.output,
            orders: &mut self.orders,
            capacity: self.capacity,
        }
    }

    /// `Err` if the protocol asked for an end.
    #[inline]
    pub(super) fn go_on(&mut self) -> Result<(), Stop> {
        self.orders.go_on()
    }

    /// Whether the protocol asked for another deadline.
    #[inline]
    pub(super) fn wants_deadline(&self) -> bool {
        self.orders.wants_deadline()
    }

    /// The deadline to set instead of the old one, if any.
    pub(super) fn take_deadline(&mut self) -> Option<Option<Instant>> {
        self.orders.take_deadline()
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.output.len() >= self.capacity
    }
}

impl<P: Protocol> Connection<P> {
    /// Does one round, bounded in time, and comes back for another if there is more to do.
    ///
    /// On the usual way one read finds whole messages, one write takes all answers, and nothing is
    /// kept. That way is inline from here on down; whatever else can happen is out of line.
    pub(super) fn poll_open(&mut self, cx: &mut task::Context<'_>) -> Poll<Stop> {
        let info = ready!(coop::poll_info(cx));
        scratch::lend(|buffers| self.go_round(info, buffers, cx))
    }

    #[inline]
    fn go_round(
        &mut self,
        info: PollInfo,
        buffers: &mut Buffers,
        cx: &mut task::Context<'_>,
    ) -> Poll<Stop> {
        let limits = self.bounds();
        let mut round = Round {
            now: info.now(),
            output: &mut buffers.output,
            orders: Orders::default(),
            capacity: limits.high().saturating_sub(self.backlog()),
            limit: limits.message(),
            read: 0,
            written: 0,
            draining: self.is_draining(),
            fed: false,
            unfinished: false,
        };
        let done = match self.happen(&mut buffers.input, &mut round, cx) {
            Ok(()) => self.conclude(&mut round, cx),
            stop => stop,
        };
        let stop = done.map_err(|stop| self.stop(stop, &mut round, cx));
        self.host.count(info, round.read, round.written);
        if let Err(stop) = stop {
            return Poll::Ready(stop);
        }
        if round.unfinished {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Tells the protocol what has happened, in the order that the module promises.
    #[inline]
    fn happen(
        &mut self,
        input: &mut Vec<u8>,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<(), Stop> {
        if self.phase == Phase::New || self.flow == Flow::Resumed {
            self.begin(round)?;
        }
        if self.flow == Flow::Running {
            self.receive(input, round, cx)?;
            if self.inbox.is_some() {
                self.take_messages(round, cx)?;
            }
        } else {
            self.hear_abort(cx)?;
        }
        if round.draining {
            self.see_to_drain(round)?;
        }
        self.see_to_deadline(round)
    }

    /// What comes before the input: the protocol is told that the connection is open, or that there
    /// is room for output again.
    #[cold]
    fn begin(&mut self, round: &mut Round<'_>) -> Result<(), Stop> {
        if self.phase == Phase::New {
            self.phase = Phase::Open;
            self.touched = CoarseInstant::at(round.now);
            self.protocol.opened(&mut round.context());
            round.go_on()?;
        }
        if self.flow == Flow::Resumed {
            self.flow = Flow::Running;
            self.protocol.writable(&mut round.context());
            round.go_on()?;
        }
        self.see_to_pause(round);
        Ok(())
    }

    /// Pauses the input or resumes it, if the protocol asked for that.
    #[inline]
    fn see_to_pause(&mut self, round: &mut Round<'_>) {
        if round.orders.changes_pause() {
            self.set_pause(round);
        }
    }

    #[cold]
    fn set_pause(&mut self, round: &mut Round<'_>) {
        let Some(until) = round.orders.take_pause() else { return };
        if until > round.now {
            self.kept().paused_until = Some(until);
            return;
        }
        match &mut self.kept {
            Some(kept) if kept.paused_until.is_some() => kept.paused_until = Some(until),
            // A pause that began in this round has stopped the input, which no waker waits for.
            _ if self.marks.has(Marks::UNFED) => {}
            // There was no pause.
            _ => return,
        }
        if self.kept.is_none() {
            self.marks.clear(Marks::UNFED);
        }
        round.unfinished = true;
    }

    /// Whether the input is paused at `now`.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        let until = self.kept.as_ref().and_then(|kept| kept.paused_until);
        until.is_some_and(|until| until > now)
    }

    /// Ends a pause that is over at `now`: the time limits of the input begin anew.
    pub(super) fn end_pause(&mut self, now: Instant) {
        let Some(kept) = &mut self.kept else { return };
        if kept.paused_until.take_if(|until| *until <= now).is_some() {
            kept.input_rate.restart(now);
            self.touched = CoarseInstant::at(now);
        }
    }

    /// Sends what was written, and looks after memory and time.
    #[inline]
    fn conclude(&mut self, round: &mut Round<'_>, cx: &mut task::Context<'_>) -> Result<(), Stop> {
        self.see_to_pause(round);
        if let Err(error) = self.flush(round, cx) {
            return Err(lost(error));
        }
        if self.kept.is_some() {
            self.keep_nothing_idle();
            self.account()?;
        }
        self.watch_deadlines(round, cx)
    }

    /// The round has come to an end of the connection: what was written before it is sent first.
    #[cold]
    fn stop(&mut self, stop: Stop, round: &mut Round<'_>, cx: &mut task::Context<'_>) -> Stop {
        if matches!(*stop, End::AtOnce(_)) {
            return stop;
        }
        match self.flush_last(round, cx) {
            Ok(()) => stop,
            Err(error) => End::at_once(stop.into_reason().or(CloseReason::from(error))),
        }
    }

    /// Gives the protocol the messages of other tasks, while the output has room.
    fn take_messages(
        &mut self,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<(), Stop> {
        let Some(inbox) = &self.inbox else { return Ok(()) };
        for _ in 0..MESSAGES {
            if round.is_full() {
                return self.hear_abort(cx);
            }
            match inbox.poll_take(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Taken::Abort) => return Err(End::at_once(CloseReason::Aborted)),
                Poll::Ready(Taken::Message(message)) => {
                    self.protocol.message(message, &mut round.context());
                }
            }
            round.go_on()?;
        }
        round.unfinished = true;
        Ok(())
    }

    /// While messages are not taken: whether a sender has had enough.
    fn hear_abort(&self, cx: &mut task::Context<'_>) -> Result<(), Stop> {
        match self.is_aborted(cx) {
            true => Err(End::at_once(CloseReason::Aborted)),
            false => Ok(()),
        }
    }

    /// Whether a sender wants the connection to end at once. If not, it will wake the task.
    pub(super) fn is_aborted(&self, cx: &mut task::Context<'_>) -> bool {
        self.inbox.as_ref().is_some_and(|inbox| inbox.poll_abort(cx).is_ready())
    }
}

#[cold]
pub(super) fn lost(error: io::Error) -> Stop {
    End::at_once(CloseReason::from(error))
}

/// How many messages of other tasks a round takes.
const MESSAGES: usize = 128;
