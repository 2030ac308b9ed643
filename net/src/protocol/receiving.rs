//! The input of a round: reading until the socket is drained, and feeding the protocol with it.

use std::io;
use std::task::{self, Poll, ready};

use heist_reactor::{Direction, Drain};

use super::connection::Connection;
use super::feed::{Fed, feed};
use super::marks::Marks;
use super::round::{Round, lost};
use super::scratch::{self, READ, Window};
use super::{End, Protocol, Stop};
use crate::connection::close_reason::CloseReason;
use crate::connection::coarse_instant::CoarseInstant;
use crate::connection::rate_monitor::RateMonitor;
use crate::runtime::operation;
use crate::socket::sys;

impl<P: Protocol> Connection<P> {
    /// Reads until the socket is drained, the output full, or this round's share read.
    #[inline]
    pub(super) fn receive(
        &mut self,
        input: &mut Vec<u8>,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<(), Stop> {
        if self.kept.is_some() {
            return self.receive_behind(input, round, cx);
        }
        // The bit of the readiness that woke the task. Without it there is nothing to open a window
        // for.
        let Some(drain) = self.source.try_drain(Direction::Read) else {
            return self.wait_for_input(round, cx);
        };
        let count = match read(self.source.io(), drain, scratch::space(input))? {
            Some(count) if count > 0 => count,
            none_or_end => {
                return self.receive_from(none_or_end, Window::open(input, &[]), round, cx);
            }
        };
        self.note_read(count, round);
        let mut consumed = 0;
        let fed = self.feed(&input[..count], &mut consumed, round);
        if consumed == count && matches!(fed, Ok(Fed::Hungry)) && self.waits_for_input(cx) {
            return Ok(());
        }
        self.receive_on(fed, Window::at(input, consumed..count), round, cx)
    }

    /// As [`receive`](Connection::receive), behind what is kept of the input, if anything is.
    #[cold]
    fn receive_behind(
        &mut self,
        input: &mut Vec<u8>,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<(), Stop> {
        if self.is_paused(round.now) {
            return Ok(());
        }
        self.end_pause(round.now);
        if self.marks.has(Marks::UNFED) {
            // Begins with what the protocol was stopped at before.
            let mut window = Window::open(input, self.left());
            let fed = self.feed_from(&mut window, round);
            return self.receive_on(fed, window, round, cx);
        }
        let Some(drain) = self.source.try_drain(Direction::Read) else {
            return self.wait_for_input(round, cx);
        };
        let mut window = Window::open(input, self.left());
        let count = read(self.source.io(), drain, window.space())?;
        self.receive_from(count, window, round, cx)
    }

    /// What the protocol left of the input.
    fn left(&self) -> &[u8] {
        self.kept.as_ref().map_or(&[][..], |kept| &kept.input)
    }

    /// Takes in what was read, and reads on.
    #[cold]
    fn receive_from(
        &mut self,
        count: Option<usize>,
        mut window: Window<'_>,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<(), Stop> {
        let fed = self.take_in(count, &mut window, round);
        self.receive_on(fed, window, round, cx)
    }

    /// Reads on if the protocol wants more, and keeps what it leaves.
    #[cold]
    fn receive_on(
        &mut self,
        mut fed: Result<Fed, Stop>,
        mut window: Window<'_>,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<(), Stop> {
        if let Ok(Fed::Hungry) = fed
            && let Poll::Ready(count) = self.poll_read(&mut window, cx)
        {
            fed = count.and_then(|count| self.receive_more(count, &mut window, round, cx));
        }
        self.keep_input(&window, round);
        match fed? {
            Fed::Stopped => self.marks.set(Marks::UNFED),
            Fed::Hungry => self.marks.clear(Marks::UNFED),
        }
        Ok(())
    }

    /// Nothing has come. What comes just now is for another round.
    #[cold]
    fn wait_for_input(
        &mut self,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<(), Stop> {
        if !self.waits_for_input(cx)
            && let Poll::Ready(drain) = self.poll_input(cx)
        {
            drop(drain?);
            round.unfinished = true;
        }
        Ok(())
    }

    /// Whether the task waits for input now, as it does mostly; if not, there is more to know. Where
    /// it is always the same task, its waker stays with the source.
    #[inline]
    fn waits_for_input(&mut self, cx: &mut task::Context<'_>) -> bool {
        self.marks.has(Marks::OWN_TASK)
            && self.source.poll_ready_persistent(Direction::Read, cx).is_pending()
    }

    /// The right to read, or waits for it. Where that is refused, as the kernel watches as much as it
    /// may, the socket is whole: what was answered is sent first.
    #[cold]
    fn poll_input(&self, cx: &mut task::Context<'_>) -> Poll<Result<Drain<'_>, Stop>> {
        let refused = |error| End::in_order(CloseReason::from(error));
        operation::until_shutdown(self.source.poll_drain_exclusive(Direction::Read, cx))
            .map_err(refused)
    }

    /// Takes in what was read last, and reads on.
    #[cold]
    fn receive_more(
        &mut self,
        mut count: Option<usize>,
        window: &mut Window<'_>,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> Result<Fed, Stop> {
        for _ in 2..READS {
            if self.take_in(count, window, round)? == Fed::Stopped {
                return Ok(Fed::Stopped);
            }
            match self.poll_read(window, cx) {
                Poll::Pending => return Ok(Fed::Hungry),
                Poll::Ready(read) => count = read?,
            }
        }
        round.unfinished = true;
        self.take_in(count, window, round)
    }

    #[inline]
    fn poll_read(
        &mut self,
        window: &mut Window<'_>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<Option<usize>, Stop>> {
        match self.waits_for_input(cx) {
            true => Poll::Pending,
            false => self.read_again(window, cx),
        }
    }

    /// Out of line: mostly there is nothing more.
    #[cold]
    fn read_again(
        &self,
        window: &mut Window<'_>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<Option<usize>, Stop>> {
        let drain = ready!(self.poll_input(cx))?;
        Poll::Ready(read(self.source.io(), drain, window.space()))
    }

    /// Gives the protocol what was read: so many bytes, 0 at their end.
    fn take_in(
        &mut self,
        count: Option<usize>,
        window: &mut Window<'_>,
        round: &mut Round<'_>,
    ) -> Result<Fed, Stop> {
        match count {
            None => Ok(Fed::Hungry),
            Some(0) => self.end_input(window, round).map(|()| Fed::Hungry),
            Some(count) => {
                self.note_read(count, round);
                window.extend(count);
                self.feed_from(window, round)
            }
        }
    }

    #[inline]
    fn note_read(&mut self, count: usize, round: &mut Round<'_>) {
        round.read += count;
        self.touched = CoarseInstant::at(round.now);
    }

    fn feed_from(&mut self, window: &mut Window<'_>, round: &mut Round<'_>) -> Result<Fed, Stop> {
        let mut consumed = 0;
        let fed = self.feed(window.rest(), &mut consumed, round);
        window.consume(consumed);
        fed
    }

    // Both this and what it calls always inline: a call passes more than it does.
    #[inline(always)]
    fn feed(
        &mut self,
        input: &[u8],
        consumed: &mut usize,
        round: &mut Round<'_>,
    ) -> Result<Fed, Stop> {
        let limit = round.limit;
        let fed = feed(&mut self.protocol, input, consumed, limit, &mut round.context());
        round.fed |= *consumed > 0;
        fed
    }

    #[cold]
    fn end_input(&mut self, window: &Window<'_>, round: &mut Round<'_>) -> Result<(), Stop> {
        if self.marks.has(Marks::INPUT_ENDED) {
            // Something happened since. After the end, reading does not tell of a reset any more.
            let error = self.source.io().take_error().map_err(lost)?;
            return error.map_or(Ok(()), |error| Err(lost(error)));
        }
        self.marks.set(Marks::INPUT_ENDED);
        self.protocol.input_closed(window.rest(), &mut round.context());
        round.go_on()
    }

    /// Copies out what the protocol left, or gives the buffer back if that is nothing: also at an
    /// end, which asks whether something is left.
    #[inline]
    fn keep_input(&mut self, window: &Window<'_>, round: &Round<'_>) {
        if self.kept.is_some() || !window.is_empty() {
            self.keep_rest(window.rest(), round);
        }
    }

    #[cold]
    fn keep_rest(&mut self, rest: &[u8], round: &Round<'_>) {
        let kept = self.kept();
        if rest.is_empty() {
            kept.input = Vec::new();
            return;
        }
        let known = if round.fed { 0 } else { kept.input.len() };
        if known == 0 {
            kept.input_rate = RateMonitor::waiting_from(round.now);
        }
        kept.input_rate.count(rest.len() - known);
        kept.input.clear();
        // No more than it needs: the budget is charged for what it takes.
        kept.input.reserve_exact(rest.len());
        kept.input.extend_from_slice(rest);
    }
}

/// One read of at most [`READ`] bytes: how many bytes came, 0 at their end, `None` if it would
/// have blocked. After their end there is an edge only if something is wrong.
///
/// Interrupted, it has read nothing, and the next look finds the socket ready still.
#[inline(always)]
fn read(socket: &sys::Stream, drain: Drain<'_>, space: &mut [u8]) -> Result<Option<usize>, Stop> {
    match socket.read(space) {
        Ok(count) => {
            if count == 0 || count < READ && drain.short_read_drains() {
                drain.drained();
            }
            Ok(Some(count))
        }
        Err(error) => nothing_read(error, drain),
    }
}

#[cold]
fn nothing_read(error: io::Error, drain: Drain<'_>) -> Result<Option<usize>, Stop> {
    match error.kind() {
        io::ErrorKind::WouldBlock => drain.drained(),
        io::ErrorKind::Interrupted => {}
        _ => return Err(lost(error)),
    }
    Ok(None)
}

/// How many times a round reads: about 50 µs' worth, so that many connections with much input take
/// turns.
const READS: usize = 4;
