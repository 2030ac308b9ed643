//! A transport that the connection's task shares with hyper, and behind an upgrade with a task of the
//! service.
//!
//! ```text
//!  connection's task ──▶ Shared (the place) ◀── SharedIo ◀── hyper, then `Upgraded`: any task,
//!   permit, deadlines,      │ lent for each          polled by    also one of another runtime
//!   drain, forced close     ▼ operation
//!                        GuardedIo ── transport ── socket
//! ```
//!
//! The transport is in a place that both have. An operation takes it out, runs without a lock, and puts
//! it back. The connection's task can therefore end the connection at any time: it takes the transport
//! for good, and drops it. If an operation has it at that moment, that drops it instead. The other side
//! is woken and gets an error. When the other side drops its end, the connection's task is woken and
//! closes the transport in order.
//!
//! Two tasks may use the two directions of an upgraded stream. The transport sees one waker, that of the
//! place, which wakes both: a layer such as TLS may have to write in order to read.

use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use heist_scheduler::panics;
use heist_scheduler::time::Instant;
use hyper::rt::Write;
use parking_lot::Mutex;

use super::guarded_io::GuardedIo;
use super::shared_transport::{Deadline, Shared, Watched};
use crate::Transport;
use crate::runtime::wakers::LazyWaker;

/// The other side's end of a shared transport.
pub(super) struct SharedIo<T: Transport>(Arc<Place<T>>);

/// Where the transport is between two operations.
pub(super) struct Place<T: Transport> {
    /// Holding this = the right to take the transport, or to put it back. No foreign code runs under it.
    inner: Mutex<Inner<T>>,
    /// The tasks of the other side that wait for the transport.
    waiting: Arc<Waiting>,
    /// Wakes them.
    waker: Waker,
}

struct Inner<T: Transport> {
    transport: Content<T>,
    /// The connection's task.
    owner: Option<Waker>,
    /// When that looks at its deadlines.
    looks_at: Instant,
    /// The other side has dropped its end.
    returned: bool,
    /// An operation of the other side found the transport taken.
    missed: bool,
}

enum Content<T: Transport> {
    Here(Box<GuardedIo<T>>),
    /// An operation has it.
    Taken,
    /// The connection's task has ended the connection.
    Cut(io::ErrorKind),
}

/// The direction that a task waits in.
#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

impl<T: Transport> SharedIo<T> {
    /// Both ends of a transport that is still to be put into its [place](Place::fill).
    pub(super) fn new() -> (SharedIo<T>, Arc<Place<T>>) {
        let waiting = Arc::new(Waiting::default());
        let place = Arc::new(Place {
            inner: Mutex::new(Inner {
                transport: Content::Taken,
                owner: None,
                looks_at: Instant::FAR_FUTURE,
                returned: false,
                missed: false,
            }),
            waker: Waker::from(Arc::clone(&waiting)),
            waiting,
        });
        (SharedIo(Arc::clone(&place)), place)
    }

    /// Polls an operation that receives.
    pub(super) fn poll_read<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut GuardedIo<T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        self.poll(Direction::Read, cx, poll)
    }

    /// Polls an operation that sends.
    pub(super) fn poll_write<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut GuardedIo<T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        self.poll(Direction::Write, cx, poll)
    }

    fn poll<R>(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut GuardedIo<T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let place = &*self.0;
        // Before the transport is looked for: whatever is missed after that wakes the task.
        place.waiting.watch(direction, cx);
        let taken = match place.take(true) {
            Ok(taken) => taken,
            Err(None) => return Poll::Pending,
            Err(Some(kind)) => return Poll::Ready(Err(ended(kind))),
        };
        let mut lent = Lent { place, transport: Some(taken) };
        let transport = lent.transport.as_mut().expect(LENT);
        let polled = poll(transport, &mut Context::from_waker(&place.waker));
        drop(lent);
        polled
    }
}

impl<T: Transport> Drop for SharedIo<T> {
    fn drop(&mut self) {
        let owner = {
            let mut inner = self.0.inner.lock();
            inner.returned = true;
            inner.owner.take()
        };
        self.0.waiting.clear();
        panics::wake_all(owner);
    }
}

/// An operation has the transport, and puts it back also if it panics.
struct Lent<'a, T: Transport> {
    place: &'a Place<T>,
    transport: Option<Box<GuardedIo<T>>>,
}

impl<T: Transport> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        self.place.put_back(self.transport.take().expect(LENT));
    }
}

const LENT: &str = "a transport that was taken out is put back once";

impl<T: Transport> Place<T> {
    /// Puts the transport here for the first time.
    pub(super) fn fill(&self, transport: GuardedIo<T>) {
        self.put_back(Box::new(transport));
    }

    /// Takes the transport for an operation. Otherwise returns how the connection was ended; nothing if
    /// another operation has the transport. In that case the other side is woken when it is back, if
    /// this is for it.
    fn take(&self, for_other: bool) -> Result<Box<GuardedIo<T>>, Option<io::ErrorKind>> {
        let mut inner = self.inner.lock();
        match mem::replace(&mut inner.transport, Content::Taken) {
            Content::Here(transport) => Ok(transport),
            Content::Taken => {
                inner.missed |= for_other;
                Err(None)
            }
            Content::Cut(kind) => {
                inner.transport = Content::Cut(kind);
                Err(Some(kind))
            }
        }
    }

    fn put_back(&self, transport: Box<GuardedIo<T>>) {
        let (deadline, state) = (transport.state().deadline().0, transport.state());
        let exceeded = state.upgrade().is_exceeded();
        let mut transport = Some(transport);
        let mut inner = self.inner.lock();
        if matches!(inner.transport, Content::Taken) {
            inner.transport = Content::Here(transport.take().expect(LENT));
        }
        let missed = mem::take(&mut inner.missed);
        let looks_in_time = deadline >= inner.looks_at && !exceeded;
        let owner = if looks_in_time { None } else { inner.owner.take() };
        drop(inner);
        // The connection was ended meanwhile: this closes the socket.
        drop(transport);
        if missed {
            self.waiting.wake_all();
        }
        panics::wake_all(owner);
    }
}

impl<T: Transport> Shared for Place<T> {
    fn watch(&self, cx: &mut Context<'_>, deadline: &dyn Fn() -> Deadline) -> Watched {
        let mut waker = LazyWaker::of(cx);
        loop {
            let mut inner = self.inner.lock();
            if inner.returned {
                return Watched::Returned;
            }
            if waker.store_in(&mut inner.owner) {
                // An operation that makes the deadline an earlier one compares it under the lock, so
                // either that operation is seen here, or it sees this.
                let deadline = deadline();
                inner.looks_at = deadline.0;
                return Watched::InUse(deadline);
            }
            drop(inner);
            waker.prepare();
        }
    }

    fn has_unread(&self) -> bool {
        // One that an operation has is not idle.
        let Ok(transport) = self.take(false) else { return true };
        let lent = Lent { place: self, transport: Some(transport) };
        lent.transport.as_ref().expect(LENT).has_unread()
    }

    fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Ok(transport) = self.take(false) else {
            return Poll::Ready(Ok(()));
        };
        let mut lent = Lent { place: self, transport: Some(transport) };
        Pin::new(&mut **lent.transport.as_mut().expect(LENT)).poll_shutdown(cx)
    }

    fn cut(&self, kind: io::ErrorKind) {
        let mut inner = self.inner.lock();
        if matches!(inner.transport, Content::Cut(_)) {
            return;
        }
        let transport = mem::replace(&mut inner.transport, Content::Cut(kind));
        let owner = inner.owner.take();
        drop(inner);
        drop((transport, owner));
        self.waiting.wake_all();
    }
}

impl<T: Transport> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// The tasks that wait for a shared transport, one in each direction.
#[derive(Default)]
struct Waiting {
    /// Holding this = the right to change them. No waker is cloned, called or dropped under it.
    tasks: Mutex<[Option<Waker>; 2]>,
}

impl Waiting {
    /// Has the task of `cx` woken, instead of the one before in this direction.
    fn watch(&self, direction: Direction, cx: &Context<'_>) {
        let mut waker = LazyWaker::of(cx);
        loop {
            let stored = waker.store_in(&mut self.tasks.lock()[direction as usize]);
            if stored {
                return;
            }
            waker.prepare();
        }
    }

    fn take(&self) -> [Option<Waker>; 2] {
        mem::take(&mut *self.tasks.lock())
    }

    fn wake_all(&self) {
        panics::wake_all(self.take().into_iter().flatten());
    }

    fn clear(&self) {
        drop(self.take());
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

fn ended(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "the server has ended the connection")
}
