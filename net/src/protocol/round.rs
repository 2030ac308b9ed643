//! One round of an open connection: all that has happened since, then one write.

use std::io;
use std::mem;
use std::task::{self, Poll, ready};

use heist_reactor::{Direction, Drain};
use heist_scheduler::coop;
use heist_scheduler::time::Instant;

use super::closed::Closed;
use super::connection::{Connection, Flow, Phase};
use super::context::Orders;
use super::feed::{Fed, feed};
use super::output;
use super::scratch::{self, Loan, READ, Window};
use super::{Context, End, Protocol, Stop};
use crate::stream::{Stream, uninterrupted};

/// What a round collects.
pub(super) struct Round {
    pub(super) now: Instant,
    output: Loan,
    orders: Orders,
    /// How much may be written before the high watermark is reached.
    capacity: usize,
    /// The protocol took some of the input.
    pub(super) fed: bool,
    /// Something is left to do that no waker will tell of.
    pub(super) unfinished: bool,
}

impl Round {
    #[inline]
    pub(super) fn context(&mut self) -> Context<'_> {
        Context {
            now: self.now,
            output: &mut self.output,
            orders: &mut self.orders,
            capacity: self.capacity,
        }
    }

    /// `Err` if the protocol asked for an end.
    #[inline]
    pub(super) fn go_on(&self) -> Result<(), Stop> {
        self.orders.go_on()
    }

    /// The deadline to set instead of the old one, if any.
    #[inline]
    pub(super) fn take_deadline(&mut self) -> Option<Option<Instant>> {
        self.orders.take_deadline()
    }

    fn is_full(&self) -> bool {
        self.output.len() >= self.capacity
    }
}

impl<P: Protocol> Connection<P> {
    /// Does one round, bounded in time, and comes back for another if there is more to do.
    pub(super) fn poll_open(&mut self, cx: &mut task::Context<'_>) -> Poll<Stop> {
        ready!(coop::poll_proceed(cx));
        let mut round = Round {
            now: Instant::of_poll(),
            output: scratch::output(),
            orders: Orders::default(),
            capacity: self.bounds().high().saturating_sub(self.backlog()),
            fed: false,
            unfinished: false,
        };
        match self.happen(&mut round, cx).and_then(|()| self.conclude(&mut round, cx)) {
            Ok(()) if round.unfinished => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(()) => Poll::Pending,
            Err(stop) => Poll::Ready(self.stop(*stop, &mut round, cx)),
        }
    }

    /// Tells the protocol what has happened, in the order that the module promises.
    fn happen(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> Result<(), Stop> {
        if self.phase == Phase::New {
            self.phase = Phase::Open;
            self.touched = round.now;
            self.protocol.opened(&mut round.context());
            round.go_on()?;
        }
        if self.flow == Flow::Resumed {
            self.flow = Flow::Running;
            self.protocol.writable(&mut round.context());
            round.go_on()?;
        }
        if self.flow == Flow::Running {
            self.receive(round, cx)?;
            self.take_messages(round, cx)?;
        }
        self.see_to_drain(round)?;
        self.call_deadline(round)
    }

    /// Sends what was written, and looks after memory and time.
    fn conclude(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> Result<(), Stop> {
        self.flush(round, cx).map_err(lost)?;
        self.keep_nothing_idle();
        self.account()?;
        self.watch_deadlines(round, cx)
    }

    /// The round has come to an end of the connection: what was written before it is sent first.
    #[cold]
    fn stop(&mut self, end: End, round: &mut Round, cx: &mut task::Context<'_>) -> Stop {
        match end {
            End::InOrder(reason) => match self.flush(round, cx) {
                Ok(()) => End::in_order(reason),
                Err(error) => End::at_once(reason.or(Closed::lost(error))),
            },
            at_once => Box::new(at_once),
        }
    }

    /// Reads until the socket is drained, the output full, or this round's share read.
    fn receive(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> Result<(), Stop> {
        let (mut window, fed);
        if self.unfed {
            window = self.open_window();
            fed = self.feed(&mut window, round)?;
        } else {
            // Without an edge there is nothing to open a window for.
            let count;
            (window, count) = match self.stream.source().poll_drain(Direction::Read, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(drain) => {
                    let mut window = self.open_window();
                    let count = drain.and_then(|drain| read(&self.stream, drain, &mut window));
                    (window, count.map_err(lost)?)
                }
            };
            fed = self.take_in(count, &mut window, round)?;
        }
        let fed = match fed {
            Fed::Hungry => self.receive_more(&mut window, round, cx)?,
            Fed::Full => Fed::Full,
        };
        self.unfed = fed == Fed::Full;
        self.keep_input(&window, round);
        Ok(())
    }

    /// Reads on, mostly only to find that there is nothing more.
    fn receive_more(
        &mut self,
        window: &mut Window,
        round: &mut Round,
        cx: &mut task::Context<'_>,
    ) -> Result<Fed, Stop> {
        for _ in 1..READS {
            let count = match self.stream.source().poll_drain(Direction::Read, cx) {
                Poll::Pending => return Ok(Fed::Hungry),
                Poll::Ready(drain) => drain.and_then(|drain| read(&self.stream, drain, window)),
            };
            if self.take_in(count.map_err(lost)?, window, round)? == Fed::Full {
                return Ok(Fed::Full);
            }
        }
        round.unfinished = true;
        Ok(Fed::Hungry)
    }

    /// Gives the protocol what was read: so many bytes, 0 at their end.
    fn take_in(
        &mut self,
        count: Option<usize>,
        window: &mut Window,
        round: &mut Round,
    ) -> Result<Fed, Stop> {
        match count {
            None => Ok(Fed::Hungry),
            Some(0) => self.end_input(window, round).map(|()| Fed::Hungry),
            Some(count) => {
                self.stream.count_read(count);
                self.touched = round.now;
                window.extend(count);
                self.feed(window, round)
            }
        }
    }

    fn feed(&mut self, window: &mut Window, round: &mut Round) -> Result<Fed, Stop> {
        let limit = self.bounds().message();
        let mut consumed = 0;
        let cx = &mut round.context();
        let fed = feed(&mut self.protocol, window.rest(), &mut consumed, limit, cx);
        window.consume(consumed);
        round.fed |= consumed > 0;
        fed
    }

    fn end_input(&mut self, window: &Window, round: &mut Round) -> Result<(), Stop> {
        if mem::replace(&mut self.input_ended, true) {
            // Something happened since. After the end, reading does not tell of a reset any more.
            let error = self.stream.socket().take_error().map_err(lost)?;
            return error.map_or(Ok(()), |error| Err(lost(error)));
        }
        self.protocol.input_closed(window.rest(), &mut round.context());
        round.go_on()
    }

    fn open_window(&self) -> Window {
        let left = self.kept.as_ref().map_or(&[][..], |kept| &kept.input);
        Window::open(left, self.bounds().message())
    }

    /// Copies out what the protocol left, or gives the buffer back if that is nothing.
    fn keep_input(&mut self, window: &Window, round: &Round) {
        let rest = window.rest();
        match &mut self.kept {
            Some(kept) if rest.is_empty() => kept.input = Vec::new(),
            None if rest.is_empty() => {}
            _ => {
                let kept = self.kept();
                if kept.input.is_empty() || round.fed {
                    kept.input_since = round.now;
                }
                kept.input.clear();
                // No more than it needs: the budget is charged for what it takes.
                kept.input.reserve_exact(rest.len());
                kept.input.extend_from_slice(rest);
            }
        }
    }

    /// Gives the protocol the messages of other tasks, while the output has room.
    fn take_messages(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> Result<(), Stop> {
        let Some(inbox) = &self.inbox else { return Ok(()) };
        for _ in 0..MESSAGES {
            if round.is_full() {
                return Ok(());
            }
            let Poll::Ready(message) = inbox.poll_take(cx) else { return Ok(()) };
            self.protocol.message(message, &mut round.context());
            round.go_on()?;
        }
        round.unfinished = true;
        Ok(())
    }

    /// Writes what was collected, and sees to the back-pressure.
    fn flush(&mut self, round: &mut Round, cx: &mut task::Context<'_>) -> io::Result<()> {
        if round.is_full() && self.flow == Flow::Running {
            self.flow = Flow::Paused;
        }
        self.send(round, cx)?;
        if self.flow == Flow::Paused && self.backlog() <= self.bounds().low() {
            self.flow = Flow::Resumed;
            round.unfinished = true;
        }
        Ok(())
    }

    /// Sends the backlog and behind it what the round collected, and keeps what the socket does not
    /// take.
    fn send(&mut self, round: &Round, cx: &mut task::Context<'_>) -> io::Result<()> {
        let fresh = &round.output[..];
        if self.backlog() > 0 {
            self.kept().keep_output(fresh, round.now);
            return self.send_backlog(round.now, cx);
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let sent = output::send(&self.stream, fresh, cx)?;
        self.touched = round.now;
        if sent < fresh.len() {
            self.kept().keep_output(&fresh[sent..], round.now);
        }
        Ok(())
    }

    pub(super) fn send_backlog(
        &mut self,
        now: Instant,
        cx: &mut task::Context<'_>,
    ) -> io::Result<()> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        let sent = kept.backlog.send(&self.stream, cx)?;
        kept.note_taken(sent, now);
        if sent > 0 {
            self.touched = now;
        }
        Ok(())
    }

    pub(super) fn backlog(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.backlog.len())
    }
}

/// One read behind what the window shows: how many bytes came, 0 at their end, `None` if it would
/// have blocked. After their end there is an edge only if something is wrong.
fn read(stream: &Stream, drain: Drain<'_>, window: &mut Window) -> io::Result<Option<usize>> {
    let count = match uninterrupted(|| stream.socket().read(window.space())) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            drain.drained();
            return Ok(None);
        }
        outcome => outcome?,
    };
    if count == 0 || count < READ && drain.short_read_drains() {
        drain.drained();
    }
    Ok(Some(count))
}

fn lost(error: io::Error) -> Stop {
    End::at_once(Closed::lost(error))
}

/// How many times a round reads: about 50 µs' worth, so that many connections with much input take
/// turns.
const READS: usize = 4;

/// How many messages of other tasks a round takes.
const MESSAGES: usize = 128;
