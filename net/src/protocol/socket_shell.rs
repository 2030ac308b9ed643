//! The shell of an engine on a socket, for the time of one poll.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;

use heist_reactor::{Direction, Drain, Source, uninterrupted};
use heist_scheduler::coop;
use heist_scheduler::time::Instant;

use super::engine::{Shell, Transport};
use super::inbox::{Inbox, Taken};
use super::owner::Owner;
use crate::connection::budget::OverBudget;
use crate::connection::charge::Charge;
use crate::connection::deadlines::DeadlineTimer;
use crate::connection::limits::Limits;
use crate::connection::set::ConnectionSet;
use crate::runtime::operation;
use crate::socket::inner::nonzero;
use crate::socket::sys;

/// What wakes a connection's task: its socket, its timer, and other tasks.
pub(super) struct Events<M> {
    pub(super) source: Source<sys::Stream>,
    /// For the protocol's deadline and the limits together.
    pub(super) timer: DeadlineTimer,
    /// `None` while no sender was asked for.
    pub(super) inbox: Option<Arc<Inbox<M>>>,
}

/// A connection without its engine, for the time of one poll.
///
/// `SAME_TASK` says that the connection is always polled by the same task, and dropped at its end.
/// Then its waker stays with the source, and is not compared with the one of the last poll.
pub(super) struct SocketShell<'a, 'c, M, const SAME_TASK: bool> {
    pub(super) events: &'a mut Events<M>,
    pub(super) owner: &'a mut Owner,
    pub(super) cx: &'a mut task::Context<'c>,
    /// Bytes that passed through the socket in this poll.
    pub(super) read: usize,
    pub(super) written: usize,
}

impl<M, const SAME_TASK: bool> SocketShell<'_, '_, M, SAME_TASK> {
    fn socket(&self) -> &sys::Stream {
        self.events.source.io()
    }

    /// Out of line: mostly there is nothing more.
    #[cold]
    fn poll_readable_anew(&mut self) -> Poll<io::Result<()>> {
        let drain = self.events.source.poll_drain_exclusive(Direction::Read, self.cx);
        operation::until_shutdown(drain).map_ok(drop)
    }
}

impl<M, const SAME_TASK: bool> Transport for SocketShell<'_, '_, M, SAME_TASK> {
    #[inline(always)]
    fn try_read(&mut self, space: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(drain) = self.events.source.try_drain(Direction::Read) else {
            return Poll::Pending;
        };
        match self.events.source.io().read(space) {
            Ok(count) => {
                // After the end there is an edge only if something is wrong.
                if count == 0 || count < space.len() && drain.short_read_drains() {
                    drain.drained();
                }
                self.read += count;
                Poll::Ready(Ok(count))
            }
            Err(error) => nothing_read(error, drain),
        }
    }

    #[inline]
    fn poll_readable(&mut self) -> Poll<io::Result<()>> {
        if !SAME_TASK {
            return self.poll_readable_anew();
        }
        match self.events.source.poll_ready_persistent(Direction::Read, self.cx) {
            Poll::Pending => Poll::Pending,
            readable => operation::until_shutdown(readable),
        }
    }

    fn has_unread(&self) -> bool {
        matches!(self.socket().peek(&mut [0]), Ok(1..))
    }

    fn has_known_unread(&self) -> bool {
        // A read that stopped early leaves the socket ready, whether more is there or not.
        self.events.source.try_drain(Direction::Read).is_some_and(|_| self.has_unread())
    }

    fn take_error(&mut self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    #[inline]
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = taken(self.socket().write(bytes))?;
        self.written += sent;
        Ok(sent)
    }

    #[cold]
    fn try_write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = taken(self.socket().write_last(bytes))?;
        self.written += sent;
        Ok(sent)
    }

    fn poll_write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let source = &self.events.source;
        loop {
            let drain = source.poll_drain_exclusive(Direction::Write, self.cx);
            let drain = ready!(operation::until_shutdown(drain))?;
            match uninterrupted(|| source.io().write(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => drain.drained(),
                outcome => {
                    let sent = nonzero(outcome?)?;
                    self.written += sent;
                    return Poll::Ready(Ok(sent));
                }
            }
        }
    }

    fn shut_down(&mut self) -> io::Result<()> {
        self.socket().shutdown(Shutdown::Write)
    }

    fn close(&mut self) {
        // In a task of its own the socket is about to be dropped. Elsewhere its owner may keep it.
        if !SAME_TASK {
            // A socket that cannot be shut down is broken, and its end is of no interest any more.
            let _ = self.shut_down();
        }
    }
}

impl<M, const SAME_TASK: bool> Shell for SocketShell<'_, '_, M, SAME_TASK> {
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

/// Interrupted, a read has read nothing, and the next look finds the socket ready still.
#[cold]
fn nothing_read(error: io::Error, drain: Drain<'_>) -> Poll<io::Result<usize>> {
    match error.kind() {
        io::ErrorKind::WouldBlock => drain.drained(),
        io::ErrorKind::Interrupted => {}
        _ => return Poll::Ready(Err(error)),
    }
    Poll::Pending
}

/// What a write without a look at the readiness took: most likely all, as nothing waits to be sent.
/// Only [`poll_write`](Transport::poll_write) can tell that there is no room, and wait.
#[inline]
fn taken(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Ok(sent) => nonzero(sent),
        Err(error) => nothing_taken(error),
    }
}

#[cold]
fn nothing_taken(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
        _ => Err(error),
    }
}
