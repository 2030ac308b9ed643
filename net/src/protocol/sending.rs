//! The end of a round: what was written is sent, and what the socket does not take is kept.

use std::io;
use std::task;

use heist_scheduler::time::Instant;

use super::connection::{Connection, Flow};
use super::round::Round;
use super::{Protocol, output};
use crate::connection::coarse_instant::CoarseInstant;

impl<P: Protocol> Connection<P> {
    /// Writes what was collected, and sees to the back-pressure.
    #[inline]
    pub(super) fn flush(
        &mut self,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> io::Result<()> {
        let length = round.output.len();
        if self.kept.is_some() || round.is_full() {
            return self.flush_behind(0, round, cx);
        }
        if length == 0 {
            return Ok(());
        }
        let sent = output::try_send(&self.source, round.output)?;
        self.touched = CoarseInstant::at(round.now);
        round.written += sent;
        if sent == length { Ok(()) } else { self.flush_behind(sent, round, cx) }
    }

    /// As [`flush`](Connection::flush), at the end of the connection.
    #[cold]
    pub(super) fn flush_last(
        &mut self,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> io::Result<()> {
        if self.kept.is_some() || round.output.is_empty() {
            return self.flush(round, cx);
        }
        let sent = output::try_send_last(&self.source, round.output)?;
        round.written += sent;
        if sent == round.output.len() { Ok(()) } else { self.flush_behind(sent, round, cx) }
    }

    /// As [`flush`](Connection::flush), behind what was sent already, with all that may have to
    /// wait.
    #[cold]
    fn flush_behind(
        &mut self,
        sent: usize,
        round: &mut Round<'_>,
        cx: &mut task::Context<'_>,
    ) -> io::Result<()> {
        if round.is_full() && self.flow == Flow::Running {
            self.flow = Flow::Paused;
        }
        round.written += self.send(&round.output[sent..], round.now, cx)?;
        if self.flow == Flow::Paused && self.backlog() <= self.bounds().low() {
            self.flow = Flow::Resumed;
            round.unfinished = true;
        }
        Ok(())
    }

    /// Sends the backlog and behind it what is `fresh`, and keeps what the socket does not take.
    /// Returns how much it took.
    fn send(
        &mut self,
        fresh: &[u8],
        now: Instant,
        cx: &mut task::Context<'_>,
    ) -> io::Result<usize> {
        if self.backlog() > 0 {
            self.kept().keep_output(fresh, now);
            return self.send_backlog(now, cx);
        }
        if fresh.is_empty() {
            return Ok(0);
        }
        let sent = output::send(&self.source, fresh, cx)?;
        self.touched = CoarseInstant::at(now);
        if sent < fresh.len() {
            self.kept().keep_output(&fresh[sent..], now);
        }
        Ok(sent)
    }

    /// Returns how much the socket took.
    pub(super) fn send_backlog(
        &mut self,
        now: Instant,
        cx: &mut task::Context<'_>,
    ) -> io::Result<usize> {
        let Some(kept) = &mut self.kept else { return Ok(0) };
        let sent = kept.backlog.send(&self.source, cx)?;
        kept.note_taken(sent, now);
        if sent > 0 {
            self.touched = CoarseInstant::at(now);
        }
        Ok(sent)
    }

    #[inline]
    pub(super) fn backlog(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.backlog.len())
    }
}
