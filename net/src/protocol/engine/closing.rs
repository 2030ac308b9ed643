//! The end of a connection in good order: flush, shut the sending direction down, and give the peer
//! time to read before the transport is closed.

use std::io;
use std::mem;
use std::task::{Poll, ready};

use heist_scheduler::time::Instant;

use super::scratch;
use super::shell::Shell;
use super::state::{Drain, Engine, Phase};
use crate::connection::close_reason::CloseReason;
use crate::connection::linger::Linger;
use crate::protocol::Protocol;
use crate::protocol::termination::Termination;

impl<P: Protocol> Engine<P> {
    /// Begins the end, or returns why the connection has ended, if nothing is left to do.
    #[cold]
    pub(super) fn begin_closing(
        &mut self,
        termination: Termination,
        shell: &mut impl Shell,
    ) -> Option<CloseReason> {
        let (phase, reason) = match termination {
            Termination::Immediate(reason) => return Some(reason),
            Termination::Graceful(reason) => (Phase::Flushing, reason),
            // The peer has nothing more to say: mostly nothing is left to do.
            Termination::Finished if self.finds_input(shell) => {
                (Phase::Flushing, CloseReason::Finished)
            }
            Termination::Finished if self.backlog() > 0 => {
                (Phase::Finishing, CloseReason::Finished)
            }
            Termination::Finished if shell.try_close() => return Some(CloseReason::Finished),
            Termination::Finished => (Phase::Finishing, CloseReason::Finished),
        };
        self.deadline = shell.time_now() + shell.limits().flush_timeout;
        self.phase = phase;
        let buffers = self.buffers();
        buffers.input = Vec::new();
        buffers.reason = Some(reason);
        None
    }

    /// A turn of a connection that closes.
    #[cold]
    pub(super) fn turn_closing(
        &mut self,
        now: Instant,
        shell: &mut impl Shell,
    ) -> Poll<CloseReason> {
        let closed = match self.poll_closed(now, shell) {
            Poll::Ready(closed) => closed,
            Poll::Pending => {
                self.in_turn = false;
                return Poll::Pending;
            }
        };
        let reason = self.buffers().reason.take().unwrap_or(CloseReason::Finished);
        Poll::Ready(self.told_apart(match closed {
            Ok(()) => reason,
            Err(failure) => reason.or(failure),
        }))
    }

    fn poll_closed(
        &mut self,
        now: Instant,
        shell: &mut impl Shell,
    ) -> Poll<Result<(), CloseReason>> {
        if shell.poll_abort().is_ready() {
            return Poll::Ready(Err(CloseReason::Aborted));
        }
        if self.phase != Phase::Lingering {
            ready!(self.poll_flush(now, shell))?;
            let Poll::Ready(shut) = shell.poll_shut_down() else {
                let over = shell.wake_at(self.deadline, now);
                return over.map(|()| Err(CloseReason::FlushTimeout));
            };
            let input_ended = self.input_ended;
            if shut.is_err() || input_ended || !self.should_linger(shell) {
                return Poll::Ready(Ok(()));
            }
            self.deadline = shell.time_now() + shell.limits().linger_timeout;
            self.buffers().linger = Some(Linger::new(shell.limits().linger_bytes));
            self.phase = Phase::Lingering;
        }
        // The output was handed over: what ends the wait is no error any more.
        self.poll_linger(now, shell).map(Ok)
    }

    /// Sends what is left. It is charged as that of an open connection is, and has as much right to
    /// be there.
    fn poll_flush(
        &mut self,
        now: Instant,
        shell: &mut impl Shell,
    ) -> Poll<Result<(), CloseReason>> {
        self.send_backlog(now, shell)?;
        self.account(shell).map_err(|termination| termination.into_reason())?;
        if self.backlog() == 0 {
            return Poll::Ready(Ok(()));
        }
        shell.wake_at(self.deadline, now).map(|()| Err(CloseReason::FlushTimeout))
    }

    /// Drops input until the peer has closed, or time or patience is over.
    fn poll_linger(&mut self, now: Instant, shell: &mut impl Shell) -> Poll<()> {
        let deadline = self.deadline;
        if deadline <= now {
            return Poll::Ready(());
        }
        let Some(linger) = &mut self.buffers().linger else { return Poll::Ready(()) };
        // The first read belongs to the turn.
        let mut first = true;
        let over = linger.poll(|| {
            if !mem::take(&mut first) {
                ready!(shell.poll_budget());
            }
            poll_discard(shell)
        });
        match over {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => shell.wake_at(deadline, now),
        }
    }

    /// Whether the peer has sent something that was not read and would turn closing into a reset.
    fn finds_input(&self, shell: &impl Shell) -> bool {
        let kept = self.buffers.as_ref().is_some_and(|buffers| !buffers.input.is_empty());
        kept || shell.has_known_unread()
    }

    /// A peer that was idle when the server drained is not sending: there is nothing to wait for.
    fn should_linger(&self, shell: &impl Shell) -> bool {
        self.drain != Drain::ToldIdle
            && !shell.limits().linger_timeout.is_zero()
            && (self.phase != Phase::Finishing || self.finds_input(shell))
    }
}

/// Reads something and drops it. Returns how many bytes it was.
fn poll_discard(shell: &mut impl Shell) -> Poll<io::Result<usize>> {
    scratch::lend(|scratch| {
        loop {
            ready!(shell.poll_readable())?;
            if let Poll::Ready(read) = shell.try_read(scratch::space(&mut scratch.input)) {
                return Poll::Ready(read);
            }
        }
    })
}
