//! The end of a connection in good order: flush, shut the writing direction down, and give the peer
//! time to read before the socket is closed.

use std::io;
use std::net::Shutdown;
use std::task::{self, Poll, ready};

use heist_reactor::{Direction, uninterrupted};
use heist_scheduler::coop::{self, PollInfo};
use heist_scheduler::time::Instant;

use super::Protocol;
use super::connection::{Connection, Phase};
use super::hosted::Drain;
use super::marks::Marks;
use super::scratch::{self, Window};
use crate::connection::close_reason::CloseReason;
use crate::connection::linger::Linger;
use crate::runtime::operation;

impl<P: Protocol> Connection<P> {
    /// What is left to do where the peer has nothing more to say. Mostly that is nothing.
    pub(super) fn phase_left(&self) -> Option<Phase> {
        match self.finds_input() {
            true => Some(Phase::Flushing),
            false => (self.backlog() > 0).then_some(Phase::Finishing),
        }
    }

    pub(super) fn begin_closing(&mut self, phase: Phase, reason: CloseReason) {
        self.deadline = Instant::of_poll() + self.bounds().flush_timeout;
        self.phase = phase;
        let kept = self.kept();
        kept.input = Vec::new();
        kept.reason = Some(reason);
    }

    pub(super) fn poll_closing(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        if self.is_aborted(cx) {
            return Poll::Ready(self.reason().or(CloseReason::Aborted));
        }
        if self.phase != Phase::Lingering {
            if let Err(failure) = ready!(self.poll_flush(cx)) {
                return Poll::Ready(self.reason().or(failure));
            }
            let shut = self.source.io().shutdown(Shutdown::Write);
            if shut.is_err() || self.marks.has(Marks::INPUT_ENDED) || self.does_not_linger() {
                return Poll::Ready(self.reason());
            }
            self.deadline = Instant::of_poll() + self.bounds().linger_timeout;
            let limit = self.bounds().linger_bytes;
            self.kept().linger = Some(Linger::new(limit));
            self.phase = Phase::Lingering;
        }
        // The output is out of our hands; whatever ends the waiting is no error any more.
        ready!(self.poll_peer_closed(cx));
        Poll::Ready(self.reason())
    }

    /// What the peer has not taken is charged as that of an open connection is, and has as much right
    /// to be there.
    fn poll_flush(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CloseReason>> {
        let info = ready!(coop::poll_info(cx));
        match self.send_backlog(info.now(), cx) {
            Ok(sent) => self.host.count(info, 0, sent),
            Err(error) => return Poll::Ready(Err(CloseReason::from(error))),
        }
        if let Err(stop) = self.account() {
            return Poll::Ready(Err(stop.into_reason()));
        }
        if self.backlog() == 0 {
            return Poll::Ready(Ok(()));
        }
        let late = self.timer.arm(self.deadline, info.now(), cx);
        late.map(|()| Err(CloseReason::FlushTimeout))
    }

    /// Whether the peer has sent something that was not read and would turn closing into a reset.
    fn finds_input(&self) -> bool {
        if self.kept.as_ref().is_some_and(|kept| !kept.input.is_empty()) {
            return true;
        }
        // A read that stopped early leaves the socket ready, whether more is there or not.
        let drain = self.source.try_drain(Direction::Read);
        drain.is_some_and(|_| matches!(self.source.io().peek(&mut [0]), Ok(1..)))
    }

    /// Drops input until the peer has closed, or time or patience is over.
    fn poll_peer_closed(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        let Some(mut linger) = self.kept().linger.take() else { return Poll::Ready(()) };
        let (mut over, mut waits) = (false, false);
        let polled = linger.poll(|| {
            let info = ready!(coop::poll_info(cx));
            over = self.deadline <= info.now();
            if over {
                return Poll::Pending;
            }
            let polled = self.poll_discard(info, cx);
            waits = polled.is_pending();
            polled
        });
        self.kept().linger = Some(linger);
        if polled.is_ready() || over {
            return Poll::Ready(());
        }
        if waits {
            return self.timer.arm(self.deadline, Instant::of_poll(), cx);
        }
        Poll::Pending
    }

    fn poll_discard(&self, info: PollInfo, cx: &mut task::Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let drain = ready!(operation::until_shutdown(
                self.source.poll_drain_exclusive(Direction::Read, cx)
            ))?;
            match uninterrupted(|| self.discard()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => drain.drained(),
                outcome => {
                    drop(drain);
                    if let Ok(count) = outcome {
                        self.host.count(info, count, 0);
                    }
                    return Poll::Ready(outcome);
                }
            }
        }
    }

    fn discard(&self) -> io::Result<usize> {
        scratch::lend(|buffers| {
            self.source.io().read(Window::open(&mut buffers.input, &[]).space())
        })
    }

    /// Tells the peer that this is the end, unless the socket is about to be closed: in a task of its
    /// own it is; elsewhere its owner may keep it.
    pub(super) fn end_output(&self) {
        if !self.marks.has(Marks::OWN_TASK) {
            // One that cannot be shut is broken, and nobody hears of its end.
            let _ = self.source.io().shutdown(Shutdown::Write);
        }
    }

    /// A peer that was idle when the server drained is not sending: there is nothing to hear out.
    fn does_not_linger(&self) -> bool {
        self.drain == Drain::ToldIdle
            || self.bounds().linger_timeout.is_zero()
            || self.phase == Phase::Finishing && !self.finds_input()
    }

    fn reason(&mut self) -> CloseReason {
        self.kept().reason.take().unwrap_or(CloseReason::Finished)
    }
}
