//! The output of a turn: what was written is sent, and what the transport does not take is kept.

use std::io;
use std::task::Poll;

use heist_scheduler::time::Instant;

use super::shell::Shell;
use super::state::{Engine, Flow};
use super::turn::Turn;
use crate::connection::close_reason::CloseReason;
use crate::protocol::Protocol;
use crate::protocol::termination::Termination;

impl<P: Protocol> Engine<P> {
    /// Writes what was collected, and keeps up the back-pressure.
    #[inline]
    pub(super) fn flush(&mut self, turn: &mut Turn<'_>, shell: &mut impl Shell) -> io::Result<()> {
        let length = turn.output.len();
        if self.buffers.is_some() || turn.is_full() {
            return self.flush_behind(0, turn, shell);
        }
        if length == 0 {
            return Ok(());
        }
        let sent = shell.try_write(turn.output)?;
        self.last_activity = turn.now;
        if sent == length { Ok(()) } else { self.flush_behind(sent, turn, shell) }
    }

    /// As [`flush`](Engine::flush), at the end of the connection.
    #[cold]
    pub(super) fn flush_last(
        &mut self,
        turn: &mut Turn<'_>,
        shell: &mut impl Shell,
    ) -> io::Result<()> {
        if self.buffers.is_some() || turn.output.is_empty() {
            return self.flush(turn, shell);
        }
        let sent = shell.try_write_last(turn.output)?;
        if sent == turn.output.len() { Ok(()) } else { self.flush_behind(sent, turn, shell) }
    }

    /// As [`flush`](Engine::flush), behind what was sent already, with all that may have to wait.
    #[cold]
    fn flush_behind(
        &mut self,
        sent: usize,
        turn: &mut Turn<'_>,
        shell: &mut impl Shell,
    ) -> io::Result<()> {
        if turn.is_full() && self.flow == Flow::Running {
            self.flow = Flow::Paused;
        }
        self.send(&turn.output[sent..], turn.now, shell)?;
        if self.flow == Flow::Paused && self.backlog() <= shell.limits().low() {
            self.flow = Flow::Resumed;
            turn.unfinished = true;
        }
        Ok(())
    }

    /// Sends the backlog and behind it what is `fresh`, and keeps what the transport does not take.
    fn send(&mut self, fresh: &[u8], now: Instant, shell: &mut impl Shell) -> io::Result<()> {
        if self.backlog() > 0 {
            self.buffers().keep_output(fresh, now);
            return self.send_backlog(now, shell);
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let sent = write(fresh, shell)?;
        self.last_activity = now;
        if sent < fresh.len() {
            self.buffers().keep_output(&fresh[sent..], now);
        }
        Ok(())
    }

    pub(super) fn send_backlog(&mut self, now: Instant, shell: &mut impl Shell) -> io::Result<()> {
        let Some(buffers) = &mut self.buffers else { return Ok(()) };
        let sent = write(buffers.backlog.bytes(), shell)?;
        if sent > 0 {
            buffers.backlog.advance(sent);
            buffers.note_taken(sent, now);
            self.last_activity = now;
        }
        Ok(())
    }

    /// How much output waits to be taken.
    #[inline]
    pub(super) fn backlog(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.backlog.len())
    }

    /// Gives back buffers that are empty, and charges the server's budget for the others. An idle
    /// connection owns no buffer.
    pub(super) fn account(&mut self, shell: &mut impl Shell) -> Result<(), Box<Termination>> {
        let Some(buffers) = &mut self.buffers else { return Ok(()) };
        let (size, busy) = match buffers.is_empty() {
            true => (0, false),
            false => (buffers.size(), true),
        };
        shell.set_busy(busy);
        shell
            .charge(&mut buffers.charge, size)
            .map_err(|over| Termination::immediate(CloseReason::Memory(over)))?;
        if !busy {
            self.buffers = None;
        }
        Ok(())
    }
}

/// Writes until the transport takes no more. Returns how much it took; if that is not all, a turn
/// comes when there is room.
fn write(bytes: &[u8], shell: &mut impl Shell) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len()
        && let Poll::Ready(taken) = shell.poll_write(&bytes[sent..])
    {
        sent += taken?;
    }
    Ok(sent)
}
