//! The input of a turn: reading until nothing is left, and feeding the protocol with it.

use std::task::Poll;

use super::feed::{Fed, feed};
use super::scratch::{self, Window};
use super::shell::Shell;
use super::state::Engine;
use super::turn::Turn;
use crate::connection::rate_monitor::RateMonitor;
use crate::protocol::Protocol;
use crate::protocol::termination::Termination;

impl<P: Protocol> Engine<P> {
    /// Reads until nothing is left, the output is full, or this turn's share is read.
    #[inline]
    pub(super) fn receive<S: Shell>(
        &mut self,
        input: &mut Vec<u8>,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<(), Box<Termination>> {
        if self.buffers.is_some() {
            return self.receive_behind(input, turn, shell);
        }
        let count = match shell.try_read(scratch::space(input)) {
            Poll::Pending => return wait_for_input(turn, shell),
            Poll::Ready(Ok(count)) if count > 0 => count,
            Poll::Ready(end_or_error) => {
                let count = end_or_error.map_err(Termination::immediate)?;
                return self.receive_from(count, Window::open(input, &[]), turn, shell);
            }
        };
        self.last_activity = turn.now;
        let mut consumed = 0;
        let fed = self.feed(&input[..count], &mut consumed, turn);
        if consumed == count
            && matches!(fed, Ok(Fed::NeedMore))
            && shell.poll_readable().is_pending()
        {
            return Ok(());
        }
        self.receive_on(fed, Window::at(input, consumed..count), turn, shell)
    }

    /// As [`receive`](Engine::receive), behind what is kept of the input, if anything is.
    #[cold]
    fn receive_behind<S: Shell>(
        &mut self,
        input: &mut Vec<u8>,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<(), Box<Termination>> {
        if self.is_paused(turn.now) {
            return Ok(());
        }
        self.end_pause(turn.now);
        if self.unfed {
            // It begins with what the protocol was stopped at before.
            let mut window = Window::open(input, self.left());
            let fed = self.feed_from(&mut window, turn);
            return self.receive_on(fed, window, turn, shell);
        }
        if poll_readable(shell)?.is_pending() {
            return Ok(());
        }
        let mut window = Window::open(input, self.left());
        match shell.try_read(window.space()) {
            Poll::Pending => wait_for_input(turn, shell),
            Poll::Ready(read) => {
                let count = read.map_err(Termination::immediate)?;
                self.receive_from(count, window, turn, shell)
            }
        }
    }

    /// What the protocol left of the input.
    fn left(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[][..], |buffers| &buffers.input)
    }

    /// Takes in what was read, and reads on.
    #[cold]
    fn receive_from<S: Shell>(
        &mut self,
        count: usize,
        mut window: Window<'_>,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<(), Box<Termination>> {
        let fed = self.take_in(count, &mut window, turn, shell);
        self.receive_on(fed, window, turn, shell)
    }

    /// Reads on if the protocol wants more, and keeps what it leaves.
    #[cold]
    fn receive_on<S: Shell>(
        &mut self,
        mut fed: Result<Fed, Box<Termination>>,
        mut window: Window<'_>,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<(), Box<Termination>> {
        if let Ok(Fed::NeedMore) = fed
            && let Poll::Ready(count) = poll_read(&mut window, shell)
        {
            fed = count.and_then(|count| self.receive_more(count, &mut window, turn, shell));
        }
        self.keep_input(&window, turn);
        match fed? {
            Fed::Stopped => self.unfed = true,
            Fed::NeedMore => self.unfed = false,
        }
        Ok(())
    }

    /// Takes in what was read last, and reads on.
    #[cold]
    fn receive_more<S: Shell>(
        &mut self,
        mut count: usize,
        window: &mut Window<'_>,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<Fed, Box<Termination>> {
        for _ in 2..READS {
            if self.take_in(count, window, turn, shell)? == Fed::Stopped {
                return Ok(Fed::Stopped);
            }
            match poll_read(window, shell) {
                Poll::Pending => return Ok(Fed::NeedMore),
                Poll::Ready(read) => count = read?,
            }
        }
        turn.unfinished = true;
        self.take_in(count, window, turn, shell)
    }

    /// Gives the protocol what was read: so many bytes, 0 at their end.
    fn take_in<S: Shell>(
        &mut self,
        count: usize,
        window: &mut Window<'_>,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<Fed, Box<Termination>> {
        if count == 0 {
            return self.end_input(window, turn, shell).map(|()| Fed::NeedMore);
        }
        self.last_activity = turn.now;
        window.extend(count);
        self.feed_from(window, turn)
    }

    fn feed_from(
        &mut self,
        window: &mut Window<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<Fed, Box<Termination>> {
        let mut consumed = 0;
        let fed = self.feed(window.rest(), &mut consumed, turn);
        window.consume(consumed);
        fed
    }

    // Both this and what it calls always inline: a call passes more than it does.
    #[inline(always)]
    fn feed(
        &mut self,
        input: &[u8],
        consumed: &mut usize,
        turn: &mut Turn<'_>,
    ) -> Result<Fed, Box<Termination>> {
        let limit = turn.limit;
        let fed = feed(&mut self.protocol, input, consumed, limit, &mut turn.context());
        turn.fed |= *consumed > 0;
        fed
    }

    #[cold]
    fn end_input<S: Shell>(
        &mut self,
        window: &Window<'_>,
        turn: &mut Turn<'_>,
        shell: &mut S,
    ) -> Result<(), Box<Termination>> {
        if self.input_ended {
            // Something happened since. After the end, reading does not tell of a reset any more.
            let error = shell.take_error().map_err(Termination::immediate)?;
            return error.map_or(Ok(()), |error| Err(Termination::immediate(error)));
        }
        self.input_ended = true;
        self.protocol.input_closed(window.rest(), &mut turn.context());
        turn.check_close()
    }

    /// Copies out what the protocol left, or gives the buffer back if that is nothing: also at an
    /// end, which asks whether something is left.
    #[inline]
    fn keep_input(&mut self, window: &Window<'_>, turn: &Turn<'_>) {
        if self.buffers.is_some() || !window.is_empty() {
            self.keep_rest(window.rest(), turn);
        }
    }

    #[cold]
    fn keep_rest(&mut self, rest: &[u8], turn: &Turn<'_>) {
        let buffers = self.buffers();
        if rest.is_empty() {
            buffers.input = Vec::new();
            return;
        }
        let known = if turn.fed { 0 } else { buffers.input.len() };
        if known == 0 {
            buffers.input_rate = RateMonitor::waiting_from(turn.now);
        }
        buffers.input_rate.count(rest.len() - known);
        buffers.input.clear();
        // No more than it needs: the budget is charged for what it takes.
        buffers.input.reserve_exact(rest.len());
        buffers.input.extend_from_slice(rest);
    }
}

/// Nothing has come. What comes just now is for another turn.
#[cold]
fn wait_for_input<S: Shell>(turn: &mut Turn<'_>, shell: &mut S) -> Result<(), Box<Termination>> {
    turn.unfinished |= poll_readable(shell)?.is_ready();
    Ok(())
}

/// Whether there is something to read. Where input cannot be waited for, the connection is whole:
/// what was answered is sent first.
fn poll_readable(shell: &mut impl Shell) -> Result<Poll<()>, Box<Termination>> {
    match shell.poll_readable() {
        Poll::Ready(Err(error)) => Err(Termination::graceful(error.into())),
        Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
        Poll::Pending => Ok(Poll::Pending),
    }
}

/// One read; waits for input where there is none.
fn poll_read(
    window: &mut Window<'_>,
    shell: &mut impl Shell,
) -> Poll<Result<usize, Box<Termination>>> {
    while poll_readable(shell)?.is_ready() {
        if let Poll::Ready(read) = shell.try_read(window.space()) {
            return Poll::Ready(read.map_err(Termination::immediate));
        }
    }
    Poll::Pending
}

/// How many times a turn reads: about 50 µs' worth, so that many connections with much input take
/// turns.
const READS: usize = 4;
