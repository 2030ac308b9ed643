//! The shell of an engine on a socket, for the time of one poll.

use std::io;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;

use heist_scheduler::coop;
use heist_scheduler::time::Instant;

use super::engine::{Io, Shell};
use super::inbox::{Inbox, Taken};
use super::owner::Owner;
use crate::connection::budget::OverBudget;
use crate::connection::charge::Charge;
use crate::connection::deadlines::DeadlineTimer;
use crate::connection::io::ConnectionIo;
use crate::connection::limits::Limits;
use crate::connection::set::ConnectionSet;

/// What wakes a connection's task: what carries its bytes, its timer, and other tasks.
pub(super) struct Events<M, I> {
    pub(super) io: I,
    /// For the protocol's deadline and the limits together.
    pub(super) timer: DeadlineTimer,
    /// `None` while no sender was asked for.
    pub(super) inbox: Option<Arc<Inbox<M>>>,
}

/// A connection without its engine, for the time of one poll.
///
/// `SAME_TASK` says that the connection is always polled by the same task, and dropped at its end.
/// Then its waker stays with the source, and is not compared with the one of the last poll.
pub(super) struct SocketShell<'a, 'c, M, I, const SAME_TASK: bool> {
    pub(super) events: &'a mut Events<M, I>,
    pub(super) owner: &'a mut Owner,
    pub(super) cx: &'a mut task::Context<'c>,
    /// Bytes that were read and written in this poll.
    pub(super) read: usize,
    pub(super) written: usize,
}

impl<M, I: ConnectionIo, const SAME_TASK: bool> Io for SocketShell<'_, '_, M, I, SAME_TASK> {
    #[inline(always)]
    fn try_read(&mut self, space: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.events.io.try_read(self.cx, space) {
            Poll::Ready(Ok(count)) => {
                self.read += count;
                Poll::Ready(Ok(count))
            }
            nothing => nothing,
        }
    }

    #[inline]
    fn poll_readable(&mut self) -> Poll<io::Result<()>> {
        self.events.io.poll_readable::<SAME_TASK>(self.cx)
    }

    fn has_unread(&self) -> bool {
        self.events.io.has_unread()
    }

    fn has_known_unread(&self) -> bool {
        self.events.io.has_known_unread()
    }

    fn take_error(&mut self) -> io::Result<Option<io::Error>> {
        self.events.io.take_error()
    }

    #[inline]
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.events.io.try_write(self.cx, bytes)?;
        self.written += sent;
        Ok(sent)
    }

    #[cold]
    fn try_write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.events.io.try_write_last(self.cx, bytes)?;
        self.written += sent;
        Ok(sent)
    }

    fn poll_write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(self.events.io.poll_write(self.cx, bytes))?;
        self.written += sent;
        Poll::Ready(Ok(sent))
    }

    fn poll_shut_down(&mut self) -> Poll<io::Result<()>> {
        self.events.io.poll_shut_down(self.cx)
    }

    fn try_close(&mut self) -> bool {
        self.events.io.try_close::<SAME_TASK>(self.cx)
    }
}

impl<M, I: ConnectionIo, const SAME_TASK: bool> Shell for SocketShell<'_, '_, M, I, SAME_TASK> {
    type Message = M;

    #[inline]
    fn limits(&self) -> &Limits {
        self.owner.limits()
    }

    fn time_now(&self) -> Instant {
        Instant::now()
    }

    fn poll_budget(&mut self) -> Poll<()> {
        coop::poll_proceed(self.cx)
    }

    #[inline]
    fn has_inbox(&self) -> bool {
        self.events.inbox.is_some()
    }

    fn poll_message(&mut self) -> Poll<Taken<M>> {
        match &self.events.inbox {
            Some(inbox) => inbox.poll_take(self.cx),
            None => Poll::Pending,
        }
    }

    fn poll_abort(&mut self) -> Poll<()> {
        match &self.events.inbox {
            Some(inbox) => inbox.poll_abort(self.cx),
            None => Poll::Pending,
        }
    }

    #[inline]
    fn is_draining(&self) -> bool {
        self.owner.is_draining()
    }

    fn drain_linger(&self) -> Duration {
        self.owner.set().map_or(Duration::ZERO, ConnectionSet::drain_linger)
    }

    fn set_busy(&mut self, busy: bool) {
        self.owner.set_busy(busy);
    }

    fn charge(&self, charge: &mut Charge, bytes: usize) -> Result<(), OverBudget> {
        match self.owner.set() {
            Some(set) => charge.set(set.buffered(), bytes),
            None => Ok(()),
        }
    }

    #[inline]
    fn covers(&self, deadline: Instant, now: Instant) -> bool {
        match SAME_TASK {
            true => self.events.timer.covers_same_task(deadline, now),
            false => self.events.timer.covers(deadline, now, self.cx),
        }
    }

    /// Whenever another task polls than before, the timer does not cover it, so that this is called.
    fn wake_at(&mut self, deadline: Instant, now: Instant) -> Poll<()> {
        if !SAME_TASK && let Some(signal) = self.owner.signal() {
            signal.watch(self.cx.waker());
            if signal.set().is_force_closed() {
                // It may have begun before the waker was registered.
                self.cx.waker().wake_by_ref();
            }
        }
        self.events.timer.arm(deadline, now, self.cx)
    }

    #[inline]
    fn wake(&mut self) {
        self.cx.waker().wake_by_ref();
    }
}
