//! One of several waiters in a direction of a source.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use crate::drain::Drain;
use crate::readiness::Direction;
use crate::slot::KeyedWaiter;
use crate::source::{Source, attempt};

impl<S: AsFd> Source<S> {
    /// A new waiter in this direction; there may be any number.
    pub fn waiter(&self, direction: Direction) -> Waiter<'_, S> {
        Waiter { source: self, keyed: KeyedWaiter::new(self.slot(), direction) }
    }
}

/// One of several waiters in one direction of a [`Source`], for a future that may be dropped while
/// others wait; made by [`Source::waiter`].
///
/// An event wakes one waiter. A woken waiter that takes the event and stops early wakes the next
/// one, and so does a woken waiter that is dropped. So where many tasks accept on one listener, a
/// connection wakes one of them, and no connection is missed. A woken waiter that is neither polled
/// nor dropped holds the event: the other waiters are not woken for it.
///
/// An event wakes the task that polled the waiter last. Cancel-safe: dropping it loses nothing.
///
/// ```
/// use heist::reactor::{Config, Direction, Interest, Kind, Queue};
/// use std::net::{TcpListener, TcpStream};
/// use std::task::{Context, Waker};
///
/// let queue = Queue::new(Config::default())?;
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// listener.set_nonblocking(true)?;
/// let address = listener.local_addr()?;
/// let listener = queue.register(0, listener, Interest::Read, Kind::Other)?;
///
/// let mut cx = Context::from_waker(Waker::noop());
/// let mut first = listener.waiter(Direction::Read);
/// let mut second = listener.waiter(Direction::Read);
/// assert!(first.poll_io(&mut cx, |io| io.accept()).is_pending());
/// assert!(second.poll_io(&mut cx, |io| io.accept()).is_pending());
///
/// let _client = TcpStream::connect(address)?;
/// let mut wakers = Vec::new();
/// queue.wait(0, 64, None, &mut wakers)?;
/// assert_eq!(wakers.len(), 1);
///
/// // The first waiter was woken. It leaves, which wakes the second one.
/// drop(first);
/// assert!(second.poll_io(&mut cx, |io| io.accept()).is_ready());
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a waiter does nothing unless polled"]
pub struct Waiter<'a, S: AsFd> {
    source: &'a Source<S>,
    keyed: KeyedWaiter<'a>,
}

impl<'a, S: AsFd> Waiter<'a, S> {
    /// As [`Source::poll_drain`], for this waiter.
    ///
    /// # Errors
    /// As [`Source::poll_drain`].
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Drain<'a>>> {
        let (source, direction) = (self.source, self.keyed.direction());
        let taken = self.keyed.poll_take(cx, |arming| source.arm(arming, direction));
        let seen = ready!(taken)?;
        Poll::Ready(Ok(source.drain(self.keyed.slot(), direction, seen)))
    }

    /// As [`Source::poll_io`], for this waiter.
    ///
    /// # Errors
    /// As [`Source::poll_io`].
    pub fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let drain = ready!(self.poll_drain(cx))?;
            if let Some(done) = attempt(drain, || op(self.source.io())) {
                return Poll::Ready(done);
            }
        }
    }
}

impl<S: AsFd + fmt::Debug> fmt::Debug for Waiter<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("source", self.source)
            .field("direction", &self.keyed.direction())
            .finish_non_exhaustive()
    }
}
