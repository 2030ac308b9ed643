//! A registered source: a task polls it, drains it, and drops it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::task::{Context, Poll, ready};

use mio::unix::SourceFd;

use crate::drain::Drain;
use crate::error::RegisterError;
use crate::interest::{Interest, Kind};
use crate::queue::Queue;
use crate::readiness::{Arming, Bits, Direction, Status};
use crate::slot::{Slot, WaitMode};
use crate::sources::{Chunk, slot_in};
use crate::token::Token;
use crate::uninterrupted::uninterrupted;

impl Queue {
    /// Registers a source with one of the shards and takes it over.
    ///
    /// The source must be in non-blocking mode and must return the same file descriptor for as long
    /// as it lives.
    ///
    /// # Errors
    /// [`RegisterError`] when the queue is closed or full, or the system refuses; `io` is dropped
    /// then. With [`Interest::None`] the system is asked, and may refuse, when a task first has to
    /// wait.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn register<S: AsFd>(
        &self,
        shard: usize,
        io: S,
        interest: Interest,
        kind: Kind,
    ) -> Result<Source<S>, RegisterError> {
        let registry = self.registry(shard);
        let token = self.table().insert(interest.bits())?;
        let fd = io.as_fd().as_raw_fd();
        if let Some(interest) = interest.to_mio(kind)
            && let Err(error) = registry.register(&mut SourceFd(&fd), token.into(), interest)
        {
            self.table().remove(token);
            return Err(RegisterError::Os(error));
        }
        let chunk = self.table().chunk(token);
        // Lossless: a queue has at most 2^16 shards.
        let shard = shard as u16;
        Ok(Source { queue: self.clone(), chunk, index: token.slot(), shard, kind, io })
    }
}

/// A source registered with a [`Queue`], and the source itself.
///
/// Any number of tasks may wait in each direction. The methods of the source know a task by its
/// waker alone and are not told when it loses interest, so an event wakes all tasks that wait by
/// them. Of the tasks that wait by a [`Waiter`](crate::Waiter) an event wakes one. Where one task
/// at a time waits, [`poll_drain_exclusive`](Source::poll_drain_exclusive) keeps wakers from piling
/// up.
///
/// Dropping it removes it from the queue, then drops what it owns. A future that polled it may be
/// dropped at any time: readiness stays until a task drains it. The waker of that task stays until
/// the next event, and the task is woken then.
///
/// ```
/// use heist::reactor::{Config, Direction, Interest, Kind, Queue};
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use std::task::{Context, Poll, Waker};
///
/// let queue = Queue::new(Config::default())?;
/// let (mut near, far) = UnixStream::pair()?;
/// far.set_nonblocking(true)?;
/// let far = queue.register(0, far, Interest::Read, Kind::Other)?;
///
/// let mut cx = Context::from_waker(Waker::noop());
/// let mut buffer = [0; 16];
/// let mut read = || far.poll_io(Direction::Read, &mut cx, |mut io| io.read(&mut buffer));
/// assert!(read().is_pending());
///
/// near.write_all(b"hello")?;
/// let mut wakers = Vec::new();
/// let harvest = queue.wait(0, 64, None, &mut wakers)?;
/// assert_eq!((harvest.events, wakers.len()), (1, 1));
/// assert!(matches!(read(), Poll::Ready(Ok(5))));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Source<S: AsFd> {
    queue: Queue,
    chunk: Chunk,
    /// The index of its slot. The generation is in the slot.
    index: u32,
    shard: u16,
    kind: Kind,
    io: S,
}

/// Part of the memory of an idle connection.
#[cfg(not(heist_loom))]
const _: () = assert!(size_of::<Source<std::os::fd::OwnedFd>>() <= 32);

impl<S: AsFd> Source<S> {
    /// The source itself.
    #[must_use]
    pub fn io(&self) -> &S {
        &self.io
    }

    /// Clears the direction's readiness and returns the right to drain it, or stores the task's
    /// waker and returns `Pending`.
    ///
    /// A new source that was registered for reading is not readable before the queue has harvested
    /// its first event, even if bytes are there.
    ///
    /// # Errors
    /// [`Closed`](crate::Closed) once the queue is closed; the system's error if it refuses to
    /// report the direction's events.
    #[inline]
    pub fn poll_drain(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Drain<'_>>> {
        self.poll_drain_in(direction, cx, WaitMode::Shared)
    }

    /// As [`poll_drain`](Source::poll_drain), for a caller that ensures that one task at a time
    /// waits in the direction: the task displaces tasks that waited before, which are woken. So
    /// wakers do not pile up where a source moves from task to task.
    ///
    /// Two tasks that keep waiting by this keep waking each other.
    ///
    /// # Errors
    /// As [`poll_drain`](Source::poll_drain).
    #[inline]
    pub fn poll_drain_exclusive(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Drain<'_>>> {
        self.poll_drain_in(direction, cx, WaitMode::Exclusive)
    }

    #[inline]
    fn poll_drain_in(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mode: WaitMode,
    ) -> Poll<io::Result<Drain<'_>>> {
        let slot = self.slot();
        let taken = slot.poll_take(direction, cx, mode, |arming| self.arm(arming, direction));
        let seen = ready!(taken)?;
        Poll::Ready(Ok(self.drain(slot, direction, seen)))
    }

    /// Whether the direction is ready; clears nothing. Stores the task's waker if it is not.
    ///
    /// # Errors
    /// As [`poll_drain`](Source::poll_drain).
    pub fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let slot = self.slot();
        slot.poll_ready(direction, cx, |arming| self.arm(arming, direction)).map_ok(drop)
    }

    /// As [`poll_ready`](Source::poll_ready), with a persistent waker: it stays in the slot when it
    /// is called, and is not stored again for each wait, which is most of the cost of a wait. For a
    /// task that keeps the source.
    ///
    /// The task must be the same at each call of this; another one would wait in vain, because the
    /// stored waker is not its own. The waker keeps the task's memory until another waker is stored
    /// or the source is dropped.
    ///
    /// # Errors
    /// As [`poll_drain`](Source::poll_drain).
    #[inline]
    pub fn poll_ready_persistent(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let slot = self.slot();
        slot.poll_ready_persistent(direction, cx, |arming| self.arm(arming, direction)).map_ok(drop)
    }

    /// Does one operation when the direction is ready, and repeats it until it neither would block
    /// nor was interrupted. On success the direction stays ready.
    ///
    /// # Errors
    /// As [`poll_drain`](Source::poll_drain), and those of the operation.
    pub fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let drain = ready!(self.poll_drain(direction, cx))?;
            if let Some(done) = attempt(drain, || op(&self.io)) {
                return Poll::Ready(done);
            }
        }
    }

    /// As [`poll_io`](Source::poll_io), for a caller that ensures that one task at a time waits in
    /// the direction; see [`poll_drain_exclusive`](Source::poll_drain_exclusive).
    ///
    /// # Errors
    /// As [`poll_io`](Source::poll_io).
    pub fn poll_io_exclusive<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let drain = ready!(self.poll_drain_exclusive(direction, cx))?;
            if let Some(done) = attempt(drain, || op(&self.io)) {
                return Poll::Ready(done);
            }
        }
    }

    /// Does one operation if the direction is ready, and leaves it ready: for an operation that mostly
    /// succeeds, as a write does, which costs no change of the readiness then.
    ///
    /// `None` when the direction is not ready, the queue is closed, or the operation would block or was
    /// interrupted. Go on with [`poll_io`](Source::poll_io): it alone can tell that the direction is not
    /// ready any more.
    #[inline]
    #[must_use]
    pub fn try_io<R>(
        &self,
        direction: Direction,
        op: impl FnOnce(&S) -> io::Result<R>,
    ) -> Option<io::Result<R>> {
        match self.slot().word.status(direction) {
            Status::Ready(_) => Some(op(&self.io)).filter(|done| !is_undone(done)),
            Status::NotReady | Status::QueueClosed => None,
        }
    }

    /// As [`poll_drain`](Source::poll_drain) without a task: `None` when the direction is not ready
    /// or the queue is closed, and no waker is stored.
    #[inline]
    #[must_use]
    pub fn try_drain(&self, direction: Direction) -> Option<Drain<'_>> {
        let slot = self.slot();
        match slot.word.take(direction) {
            Status::Ready(seen) => Some(self.drain(slot, direction, seen)),
            Status::NotReady | Status::QueueClosed => None,
        }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &Slot {
        slot_in(&self.chunk, self.index)
    }

    fn token(&self) -> Token {
        Token::new(self.index, self.slot().word.generation())
    }

    fn registry(&self) -> &mio::Registry {
        self.queue.registry(self.shard as usize)
    }

    pub(crate) fn drain<'a>(&self, slot: &'a Slot, direction: Direction, seen: Bits) -> Drain<'a> {
        Drain::new(slot, direction, self.kind.short_read_drains(seen))
    }

    /// Asks the kernel for events; it reports at once what is ready already.
    #[cold]
    pub(crate) fn arm(&self, arming: Arming, direction: Direction) -> io::Result<()> {
        let fd = self.io.as_fd().as_raw_fd();
        let (io, token) = (&mut SourceFd(&fd), self.token().into());
        match (arming, direction) {
            (Arming::Register, Direction::Read) => {
                self.registry().register(io, token, self.kind.reading())
            }
            (Arming::Register, Direction::Write) => {
                self.registry().register(io, token, mio::Interest::WRITABLE)
            }
            (Arming::Reregister, _) => self.registry().reregister(io, token, self.kind.both()),
        }
    }

    /// Whether the kernel knows of it.
    fn is_registered(&self) -> bool {
        let word = &self.slot().word;
        Direction::BOTH.into_iter().any(|direction| word.is_armed(direction))
    }
}

impl<S: AsFd> Drop for Source<S> {
    fn drop(&mut self) {
        if self.is_registered() {
            let fd = self.io.as_fd().as_raw_fd();
            // Explicitly: closing the descriptor does not end the registration while a duplicate is
            // open. It fails only if the owner closed the descriptor itself, and then events that
            // still come are stale.
            let _ = self.registry().deregister(&mut SourceFd(&fd));
        }
        self.queue.table().remove(self.token());
    }
}

impl<S: AsFd + fmt::Debug> fmt::Debug for Source<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("io", &self.io)
            .field("shard", &self.shard)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Whether the operation has done nothing, and is to be tried again.
#[inline]
fn is_undone<R>(outcome: &io::Result<R>) -> bool {
    let undone = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
    outcome.as_ref().is_err_and(|error| undone.contains(&error.kind()))
}

/// Does an operation, again after an interruption by a signal. `None` when it would block: the
/// direction is drained then.
#[inline]
pub(crate) fn attempt<R>(
    drain: Drain<'_>,
    op: impl FnMut() -> io::Result<R>,
) -> Option<io::Result<R>> {
    match uninterrupted(op) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            drain.drained();
            None
        }
        done => Some(done),
    }
}
