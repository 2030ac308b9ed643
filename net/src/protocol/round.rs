//! One round of an open connection: all that has happened since, then one write.

use std::io;
use std::mem;
use std::task::{self, Poll, ready};

use heist_reactor::Direction;
use heist_scheduler::coop;
use heist_scheduler::time::Instant;

use super::closed::Closed;
use super::connection::{Connection, Flow, Phase};
use super::context::Orders;
use super::feed::{Fed, feed};
use super::output;
use super::scratch::{self, Loan, READ, Window};
use super::{Context, End, Protocol};
use crate::stream::uninterrupted;

/// What a round collects.
pub(super) struct Round {
    now: Instant,
    output: Loan,
    orders: Orders,
    /// How much may be written before the high watermark is reached.
    capacity: usize,
    /// Something is left to do that no waker will tell of.
    unfinished: bool,
}

impl Round {
    fn context(&mut self) -> Context<'_> {
        Context {
            now: self.now,
            output: &mut self.output,
            orders: &mut self.orders,
            capacity: self.capacity,
        }
    }

    fn is_full(&self) -> bool {
        self.output.len() >= self.capacity
    }
}

impl<P: Protocol> Connection<P> {
    /// Does one round, bounded in time, and comes back for another if there is more to do.
    pub(super) fn poll_open(&mut self, cx: &mut task::Context<'_>) -> Poll<End> {
        ready!(coop::poll_proceed(cx));
        let mut round = Round {
            now: Instant::of_poll(),
            output: scratch::output(),
            orders: Orders::default(),
            capacity: self.bounds().high().saturating_sub(self.backlog()),
            unfinished: false,
        };
        let reason = match self.happen(&mut round, cx) {
            Ok(()) => None,
            Err(End::InOrder(reason)) => Some(reason),
            Err(at_once) => return Poll::Ready(at_once),
        };
        let flushed = self.flush(&mut round, cx).map_err(Closed::lost);
        self.keep_nothing_idle();
        match (reason, flushed) {
            (None, Ok(())) => {
                if round.unfinished {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            (None, Err(failure)) => Poll::Ready(End::AtOnce(failure)),
            (Some(reason), Ok(())) => Poll::Ready(End::InOrder(reason)),
            (Some(reason), Err(failure)) => Poll::Ready(End::AtOnce(reason.or(failure))),
        }
    }

    /// Tells the protocol what has happened, in the order that the module promises.
    fn happen(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> Result<(), End> {
        if self.phase == Phase::New {
            self.phase = Phase::Open;
            self.protocol.opened(&mut round.context());
            round.orders.go_on()?;
        }
        if self.flow == Flow::Resumed {
            self.flow = Flow::Running;
            self.protocol.writable(&mut round.context());
            round.orders.go_on()?;
        }
        if self.flow == Flow::Running {
            self.receive(round, cx)?;
            self.take_messages(round, cx)?;
        }
        self.watch_deadline(round, cx)
    }

    /// Reads until the socket is drained, the output full, or this round's share read.
    fn receive(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> Result<(), End> {
        let ready = self.stream.source().poll_ready(Direction::Read, cx).map_err(lost)?;
        if ready.is_pending() && !self.unfed {
            return Ok(());
        }
        let mut window = self.open_window();
        let fed = self.receive_through(&mut window, round, cx)?;
        self.unfed = fed == Fed::Full;
        self.keep_input(&window);
        Ok(())
    }

    fn receive_through(
        &mut self,
        window: &mut Window,
        round: &mut Round,
        cx: &mut task::Context<'_>,
    ) -> Result<Fed, End> {
        if self.unfed && self.feed(window, round)? == Fed::Full {
            return Ok(Fed::Full);
        }
        for _ in 0..READS {
            match self.poll_fill(window, cx).map_err(lost)? {
                Poll::Pending => return Ok(Fed::Hungry),
                Poll::Ready(0) => self.end_input(window, round)?,
                Poll::Ready(_) if self.feed(window, round)? == Fed::Full => return Ok(Fed::Full),
                Poll::Ready(_) => {}
            }
        }
        round.unfinished = true;
        Ok(Fed::Hungry)
    }

    /// One read behind what the window shows. Ready with 0 when the peer has finished sending, and
    /// then only when there is an edge again, since nothing but an error can follow.
    fn poll_fill(
        &self,
        window: &mut Window,
        cx: &mut task::Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let drain = ready!(self.stream.source().poll_drain(Direction::Read, cx))?;
            let count = match uninterrupted(|| self.stream.socket().read(window.space())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drain.drained();
                    continue;
                }
                outcome => outcome?,
            };
            if count == 0 || count < READ && drain.short_read_drains() {
                drain.drained();
            }
            window.extend(count);
            return Poll::Ready(Ok(count));
        }
    }

    fn feed(&mut self, window: &mut Window, round: &mut Round) -> Result<Fed, End> {
        let limit = self.bounds().message();
        let mut consumed = 0;
        let cx = &mut round.context();
        let fed = feed(&mut self.protocol, window.rest(), &mut consumed, limit, cx);
        window.consume(consumed);
        fed
    }

    fn end_input(&mut self, window: &Window, round: &mut Round) -> Result<(), End> {
        if mem::replace(&mut self.input_ended, true) {
            // Something happened since. After the end, reading does not tell of a reset any more.
            let error = self.stream.socket().take_error().map_err(lost)?;
            return error.map_or(Ok(()), |error| Err(lost(error)));
        }
        self.protocol.input_closed(window.rest(), &mut round.context());
        round.orders.go_on()
    }

    fn open_window(&self) -> Window {
        let left = self.kept.as_ref().map_or(&[][..], |kept| &kept.input);
        Window::open(left, self.bounds().message())
    }

    /// Copies out what the protocol left, or gives the buffer back if that is nothing.
    fn keep_input(&mut self, window: &Window) {
        let rest = window.rest();
        match &mut self.kept {
            Some(kept) if rest.is_empty() => kept.input = Vec::new(),
            None if rest.is_empty() => {}
            _ => {
                let input = &mut self.kept().input;
                input.clear();
                input.extend_from_slice(rest);
            }
        }
    }

    /// Gives the protocol the messages of other tasks, while the output has room.
    fn take_messages(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> Result<(), End> {
        let Some(inbox) = &self.inbox else { return Ok(()) };
        for _ in 0..MESSAGES {
            if round.is_full() {
                return Ok(());
            }
            let Poll::Ready(message) = inbox.poll_take(cx) else { return Ok(()) };
            self.protocol.message(message, &mut round.context());
            round.orders.go_on()?;
        }
        round.unfinished = true;
        Ok(())
    }

    fn watch_deadline(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> Result<(), End> {
        self.set_deadline(round);
        if self.timer.poll_elapsed(cx).is_ready() {
            self.timer.set(None);
            self.protocol.deadline(&mut round.context());
            round.orders.go_on()?;
            self.set_deadline(round);
            // One that has passed already is for the next round.
            round.unfinished |= self.timer.poll_elapsed(cx).is_ready();
        }
        Ok(())
    }

    fn set_deadline(&mut self, round: &mut Round) {
        if let Some(deadline) = round.orders.take_deadline() {
            self.timer.set(deadline);
        }
    }

    /// Writes what was collected, and sees to the back-pressure.
    fn flush(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> io::Result<()> {
        if round.is_full() && self.flow == Flow::Running {
            self.flow = Flow::Paused;
        }
        self.send(&round.output, cx)?;
        if self.flow == Flow::Paused && self.backlog() <= self.bounds().low() {
            self.flow = Flow::Resumed;
            round.unfinished = true;
        }
        Ok(())
    }

    /// Sends the backlog and `fresh` behind it, and keeps what the socket does not take.
    fn send(&mut self, fresh: &[u8], cx: &mut task::Context<'_>) -> io::Result<()> {
        if self.backlog() == 0 {
            let sent = output::send(&self.stream, fresh, cx)?;
            if sent < fresh.len() {
                self.kept().backlog.append(&fresh[sent..]);
            }
            return Ok(());
        }
        self.kept().backlog.append(fresh);
        self.send_backlog(cx)
    }

    pub(super) fn send_backlog(&mut self, cx: &mut task::Context<'_>) -> io::Result<()> {
        match &mut self.kept {
            Some(kept) => kept.backlog.send(&self.stream, cx),
            None => Ok(()),
        }
    }

    pub(super) fn backlog(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.backlog.len())
    }
}

fn lost(error: io::Error) -> End {
    End::AtOnce(Closed::lost(error))
}

/// How many times a round reads: about 50 µs' worth, so that many connections with much input take
/// turns.
const READS: usize = 4;

/// How many messages of other tasks a round takes.
const MESSAGES: usize = 128;
