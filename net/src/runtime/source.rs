//! A user's own source, registered with a runtime's event queue.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use heist_reactor::{Direction, Drain};
use heist_scheduler::coop;

use crate::runtime::operation::{self, restore_if_pending};

/// A file descriptor that is registered with a runtime's event queue; made by
/// [`Driver::register`](crate::Driver::register).
///
/// It is a [`heist_reactor::Source`] that follows the rules of a runtime: each operation spends one
/// unit of the poll's budget, and is pending for ever once the runtime that polls it shuts down
/// (see [`coop`]). Polled in another runtime, or in none, it fails with
/// [`Closed`](heist_reactor::Closed) then.
///
/// ```
/// use heist::Runtime;
/// use heist::net::Driver;
/// use heist::reactor::{Direction, Interest, Kind};
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let (mut near, far) = UnixStream::pair()?;
///     far.set_nonblocking(true)?;
///     let handle = heist::Handle::current();
///     let driver = Driver::of(&handle).expect("it was built by this crate");
///     let far = driver.register(far, Interest::Read, Kind::Other)?;
///
///     near.write_all(b"hello")?;
///     let mut buffer = [0; 16];
///     let count = far.io_when_ready(Direction::Read, |mut io| io.read(&mut buffer)).await?;
///     assert_eq!(count, 5);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Source<S: AsFd>(heist_reactor::Source<S>);

impl<S: AsFd> Source<S> {
    pub(crate) fn new(source: heist_reactor::Source<S>) -> Source<S> {
        Source(source)
    }

    /// The source itself.
    #[must_use]
    pub fn io(&self) -> &S {
        self.0.io()
    }

    /// Does one operation when the direction is ready, and repeats it until it neither would block
    /// nor was interrupted; otherwise stores the task's waker.
    ///
    /// # Errors
    /// Those of the operation, and the system's if it refuses to watch the source.
    pub fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        ready!(coop::poll_proceed(cx));
        restore_if_pending(operation::until_shutdown(self.0.poll_io(direction, cx, op)))
    }

    /// Does one operation when the direction is ready: as [`poll_io`](Source::poll_io), for any
    /// number of tasks at once. An event wakes one of them; a woken task that drops the future
    /// wakes the next.
    ///
    /// Cancel-safe: the operation is done only when the future completes.
    ///
    /// # Errors
    /// As [`poll_io`](Source::poll_io).
    pub async fn io_when_ready<R>(
        &self,
        direction: Direction,
        mut op: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waiter = self.0.waiter(direction);
        poll_fn(|cx| {
            ready!(coop::poll_proceed(cx));
            restore_if_pending(operation::until_shutdown(waiter.poll_io(cx, &mut op)))
        })
        .await
    }

    /// Whether the direction is ready; stores the task's waker if it is not.
    ///
    /// # Errors
    /// As [`poll_io`](Source::poll_io).
    pub fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(coop::poll_proceed(cx));
        restore_if_pending(operation::until_shutdown(self.0.poll_ready(direction, cx)))
    }

    /// The right, and the duty, to drain the direction when it is ready; otherwise stores the
    /// task's waker. See [`heist_reactor::Source::poll_drain`].
    ///
    /// # Errors
    /// As [`poll_io`](Source::poll_io).
    pub fn poll_drain(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Drain<'_>>> {
        ready!(coop::poll_proceed(cx));
        restore_if_pending(operation::until_shutdown(self.0.poll_drain(direction, cx)))
    }

    /// As [`poll_drain`](Source::poll_drain) without a task: `None` when the direction is not ready
    /// or the queue is closed.
    #[must_use]
    pub fn try_drain(&self, direction: Direction) -> Option<Drain<'_>> {
        self.0.try_drain(direction)
    }
}

impl<S: AsFd + fmt::Debug> fmt::Debug for Source<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
