//! The shell of an engine in a test: a made-up peer, and a clock that the test moves.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heist_scheduler::time::Instant;

use super::peer::Peer;
use crate::connection::budget::OverBudget;
use crate::connection::charge::Charge;
use crate::connection::limits::Limits;
use crate::protocol::engine::{Io, Shell};
use crate::protocol::inbox::{Inbox, Sender, Taken};

/// What surrounds the engine of a [`TestHarness`](super::TestHarness).
pub(super) struct TestShell<M> {
    pub(super) peer: Peer,
    limits: Limits,
    inbox: Arc<Inbox<M>>,
    now: Instant,
    /// When the next turn comes by itself; far in the future if none does.
    wake_at: Instant,
    /// Another turn is to come at once.
    woken: bool,
    draining: bool,
}

impl<M> TestShell<M> {
    pub(super) fn new(limits: Limits) -> TestShell<M> {
        TestShell {
            peer: Peer::new(),
            inbox: Arc::new(Inbox::new(limits.inbox)),
            limits,
            now: Instant::ZERO,
            wake_at: Instant::FAR_FUTURE,
            woken: false,
            draining: false,
        }
    }

    pub(super) fn sender(&self) -> Sender<M> {
        Sender::new(Arc::clone(&self.inbox))
    }

    pub(super) fn close_inbox(&self) {
        self.inbox.close();
    }

    pub(super) fn begin_drain(&mut self) {
        self.draining = true;
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn begin_turn(&mut self) -> Instant {
        self.woken = false;
        self.now
    }

    pub(super) fn is_woken(&self) -> bool {
        self.woken
    }

    /// Lets time pass until the next turn comes by itself. Returns false if none does by `end`.
    pub(super) fn advance_to_wake(&mut self, end: Instant) -> bool {
        let comes = self.wake_at <= end && self.wake_at < Instant::FAR_FUTURE;
        if comes {
            self.now = self.now.max(self.wake_at);
        }
        comes
    }

    pub(super) fn advance_to(&mut self, end: Instant) {
        self.now = end;
    }
}

impl<M> Io for TestShell<M> {
    fn try_read(&mut self, space: &mut [u8]) -> Poll<io::Result<usize>> {
        self.peer.try_read(space)
    }

    fn poll_readable(&mut self) -> Poll<io::Result<()>> {
        self.peer.poll_readable()
    }

    fn has_unread(&self) -> bool {
        self.peer.has_unread()
    }

    fn has_known_unread(&self) -> bool {
        self.peer.has_known_unread()
    }

    fn take_error(&mut self) -> io::Result<Option<io::Error>> {
        self.peer.take_error()
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.peer.try_write(bytes)
    }

    fn try_write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.peer.try_write_last(bytes)
    }

    fn poll_write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.peer.poll_write(bytes)
    }

    fn poll_shut_down(&mut self) -> Poll<io::Result<()>> {
        self.peer.poll_shut_down()
    }

    fn try_close(&mut self) -> bool {
        self.peer.try_close()
    }
}

/// The test runs a turn after each event, so that no waker is needed.
impl<M> Shell for TestShell<M> {
    type Message = M;

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn time_now(&self) -> Instant {
        self.now
    }

    fn poll_budget(&mut self) -> Poll<()> {
        Poll::Ready(())
    }

    fn has_inbox(&self) -> bool {
        true
    }

    fn poll_message(&mut self) -> Poll<Taken<M>> {
        self.inbox.poll_take(&mut Context::from_waker(Waker::noop()))
    }

    fn poll_abort(&mut self) -> Poll<()> {
        self.inbox.poll_abort(&mut Context::from_waker(Waker::noop()))
    }

    fn is_draining(&self) -> bool {
        self.draining
    }

    fn drain_linger(&self) -> Duration {
        Duration::ZERO
    }

    fn set_busy(&mut self, _: bool) {}

    fn charge(&self, _: &mut Charge, _: usize) -> Result<(), OverBudget> {
        Ok(())
    }

    fn covers(&self, deadline: Instant, now: Instant) -> bool {
        now < self.wake_at && self.wake_at <= deadline && self.wake_at < Instant::FAR_FUTURE
    }

    fn wake_at(&mut self, deadline: Instant, now: Instant) -> Poll<()> {
        if deadline < self.wake_at || self.wake_at <= now {
            self.wake_at = deadline;
        }
        if self.wake_at <= now { Poll::Ready(()) } else { Poll::Pending }
    }

    fn wake(&mut self) {
        self.woken = true;
    }
}
