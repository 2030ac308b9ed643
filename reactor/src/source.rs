//! A registered source: what a task polls, drains, and drops.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::task::{Context, Poll, ready};

use mio::unix::SourceFd;

use crate::drain::Drain;
use crate::error::RegisterError;
use crate::queue::Queue;
use crate::readiness::{Arming, Bits, Direction, Look};
use crate::slot::{Company, Slot};
use crate::sources::{Chunk, slot_in};
use crate::token::Token;

/// Which events the kernel is asked for when a source is registered.
///
/// A direction that is not among them is not lost: it counts as ready until it is tried and would
/// block, and the kernel is asked for it, by one more system call, when a task first has to wait for
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// Nothing yet: for a connection, which can be written to at once and may have something to
    /// read. One that is over before it has to wait costs no system call of the queue's.
    None,
    /// Reading: for listeners.
    Read,
    /// Writing: for the sending end of a pipe.
    Write,
    /// Both: for a socket that is connecting, which is not writable before it is connected.
    ReadWrite,
}

impl Interest {
    /// The word to start with.
    fn bits(self) -> Bits {
        match self {
            Interest::None => Bits::READABLE | Bits::WRITABLE,
            Interest::Read => Direction::Read.armed() | Bits::WRITABLE,
            Interest::Write => Direction::Write.armed() | Bits::READABLE,
            Interest::ReadWrite => Direction::Read.armed() | Direction::Write.armed(),
        }
    }

    fn to_mio(self, kind: Kind) -> Option<mio::Interest> {
        match self {
            Interest::None => None,
            Interest::Read => Some(kind.reading()),
            Interest::Write => Some(mio::Interest::WRITABLE),
            Interest::ReadWrite => Some(kind.both()),
        }
    }
}

/// What a short read of the source means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A TCP connection: a read that returns fewer bytes than there was room for has drained it,
    /// unless it reported a close, an error or urgent data.
    Stream,
    /// Anything else: only `WouldBlock` means drained.
    Other,
}

impl Kind {
    /// A stream asks for urgent data too, because a read ends short before it.
    fn reading(self) -> mio::Interest {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Kind::Stream => mio::Interest::READABLE | mio::Interest::PRIORITY,
            _ => mio::Interest::READABLE,
        }
    }

    fn both(self) -> mio::Interest {
        self.reading() | mio::Interest::WRITABLE
    }

    fn short_read_drains(self, seen: Bits) -> bool {
        self == Kind::Stream && TELLS_OF_URGENT_DATA && !seen.forbids_short_read()
    }
}

impl Queue {
    /// Registers a source with one of the shards and takes it over.
    ///
    /// The source must be in non-blocking mode and must show the same file descriptor for as long
    /// as it lives.
    ///
    /// # Errors
    /// [`RegisterError`] when the queue is closed or full, or the system refuses; `io` is dropped.
    /// With [`Interest::None`] the system is asked, and may refuse, when a task first has to wait.
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
        // There are no more shards than that.
        let shard = shard as u16;
        Ok(Source { queue: self.clone(), chunk, index: token.slot(), shard, kind, io })
    }
}

/// A source registered with a [`Queue`], and the source itself.
///
/// Any number of tasks may wait in each direction. The methods of the source know a task by its waker
/// alone and do not learn that it lost interest, so an event wakes all tasks that wait by them. Of the
/// tasks that wait by a [`Waiter`](crate::Waiter) an event wakes one. Where one task at a time waits,
/// [`poll_drain_alone`](Source::poll_drain_alone) and its like are for that.
///
/// Dropping it removes it from the queue, then drops what it owns. Dropping a future that polled it
/// needs no care: readiness stays until a task drains it. The waker of that task stays until the next
/// event, and the task is woken then.
///
/// ```
/// use heist_reactor::{Config, Direction, Interest, Kind, Queue};
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
    /// Of its slot. The generation is in the slot.
    index: u32,
    shard: u16,
    kind: Kind,
    io: S,
}

/// It is part of what an idle connection takes.
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
    /// A fresh source that was registered for reading is not readable before the queue said so,
    /// even if bytes are there: the event that says so is on its way.
    ///
    /// # Errors
    /// [`Closed`](crate::Closed) once the queue is closed; what the system says if it cannot be
    /// asked for the direction's events.
    #[inline]
    pub fn poll_drain(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Drain<'_>>> {
        self.poll_drain_in(direction, cx, Company::Shared)
    }

    /// As [`poll_drain`](Source::poll_drain), for a caller that sees to it that one task at a time
    /// waits in the direction: the task takes the place of tasks that waited before, which are woken.
    /// So wakers do not pile up where a source goes from task to task.
    ///
    /// Two tasks that keep waiting by this keep waking each other.
    ///
    /// # Errors
    /// As [`poll_drain`](Source::poll_drain).
    #[inline]
    pub fn poll_drain_alone(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Drain<'_>>> {
        self.poll_drain_in(direction, cx, Company::Alone)
    }

    #[inline]
    fn poll_drain_in(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        company: Company,
    ) -> Poll<io::Result<Drain<'_>>> {
        let slot = self.slot();
        let taken = slot.poll_take(direction, cx, company, |arming| self.ask(arming, direction));
        let seen = ready!(taken)?;
        Poll::Ready(Ok(self.drain(slot, direction, seen)))
    }

    /// Whether the direction is ready; clears nothing. Stores the task's waker if it is not.
    ///
    /// # Errors
    /// As [`poll_drain`](Source::poll_drain).
    pub fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let slot = self.slot();
        slot.poll_ready(direction, cx, |arming| self.ask(arming, direction)).map_ok(drop)
    }

    /// As [`poll_ready`](Source::poll_ready), for a task that keeps the source: its waker stays where
    /// it is when it is called, and need not be stored for each wait. That is most of what a wait
    /// costs.
    ///
    /// The task must be the same at each call of this, or it waits in vain: the waker that is there
    /// is the other's. It keeps the task's memory until another one is stored or the source dropped.
    ///
    /// # Errors
    /// As [`poll_drain`](Source::poll_drain).
    #[inline]
    pub fn poll_ready_keeping(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let slot = self.slot();
        slot.poll_ready_keeping(direction, cx, |arming| self.ask(arming, direction)).map_ok(drop)
    }

    /// Does one operation when the direction is ready, as often as it takes until it neither
    /// would block nor was interrupted. On success the direction stays ready.
    ///
    /// # Errors
    /// As [`poll_drain`](Source::poll_drain), and what the operation says.
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

    /// As [`poll_io`](Source::poll_io), for a caller that sees to it that one task at a time waits in
    /// the direction; see [`poll_drain_alone`](Source::poll_drain_alone).
    ///
    /// # Errors
    /// As [`poll_io`](Source::poll_io).
    pub fn poll_io_alone<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let drain = ready!(self.poll_drain_alone(direction, cx))?;
            if let Some(done) = attempt(drain, || op(&self.io)) {
                return Poll::Ready(done);
            }
        }
    }

    /// As [`poll_drain`](Source::poll_drain) without a task: `None` when the direction is not ready
    /// or the queue is closed, and no waker is stored.
    #[must_use]
    pub fn try_drain(&self, direction: Direction) -> Option<Drain<'_>> {
        let slot = self.slot();
        match slot.word.take(direction) {
            Look::Ready(seen) => Some(self.drain(slot, direction, seen)),
            Look::NotReady | Look::QueueClosed => None,
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
    pub(crate) fn ask(&self, arming: Arming, direction: Direction) -> io::Result<()> {
        let fd = self.io.as_fd().as_raw_fd();
        let (io, token) = (&mut SourceFd(&fd), self.token().into());
        match (arming, direction) {
            (Arming::First, Direction::Read) => {
                self.registry().register(io, token, self.kind.reading())
            }
            (Arming::First, Direction::Write) => {
                self.registry().register(io, token, mio::Interest::WRITABLE)
            }
            (Arming::Second, _) => self.registry().reregister(io, token, self.kind.both()),
        }
    }

    /// Whether the kernel knows of it.
    fn is_known(&self) -> bool {
        let word = &self.slot().word;
        Direction::BOTH.into_iter().any(|direction| word.is_armed(direction))
    }
}

impl<S: AsFd> Drop for Source<S> {
    fn drop(&mut self) {
        if self.is_known() {
            let fd = self.io.as_fd().as_raw_fd();
            // Explicitly, because closing the descriptor does not end the registration while a
            // duplicate is open. It fails only if the owner closed the descriptor behind our back,
            // and then events that still come are stale.
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

/// Does an operation until no signal interrupts it. `None` when it would block: the direction is
/// drained.
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

fn uninterrupted<R>(mut op: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match op() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Without a word of urgent data a short read proves nothing.
const TELLS_OF_URGENT_DATA: bool = cfg!(any(target_os = "linux", target_os = "android"));
