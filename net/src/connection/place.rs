//! The right of one connection to be there, and the task that serves it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, RawWakerVTable, Waker, ready};

use heist_scheduler::coop;
use heist_scheduler::time::Instant;

use crate::connection::close_reason::{CloseKind, CloseReason};
use crate::connection::visit::Holder;
use crate::runtime::operation;
use crate::server::Shared;

/// The right of one connection to be there.
///
/// Dropping it, together with the end of the future that serves the connection, frees the place for
/// another one. Drop the stream before, or together with it: who waits for descriptors is told when
/// a place is free.
pub struct Place {
    stay: Stay,
    /// Names the waker that is woken when the server drains. The server holds a clone, which keeps
    /// the waker's data alive, so no other waker can have the same name.
    registered: Option<Name>,
}

/// Tells wakers apart as [`Waker::will_wake`] does: the address of the data, which may be null, and the
/// table of functions.
#[derive(Clone, Copy)]
struct Name {
    data: usize,
    table: &'static RawWakerVTable,
}

impl Name {
    #[inline]
    fn of(waker: &Waker) -> Name {
        Name { data: waker.data().addr(), table: waker.vtable() }
    }

    #[inline]
    fn is_of(self, waker: &Waker) -> bool {
        self.data == waker.data().addr() && ptr::eq(self.table, waker.vtable())
    }
}

/// A place without what only those need who ask to be woken when the server drains: the task that
/// serves the connection is woken anyway.
pub(crate) struct Stay {
    server: Arc<Shared>,
    key: u32,
    holder: Holder,
    busy: bool,
    ending: Option<CloseKind>,
}

impl Place {
    /// The place of the connection of this number.
    pub(crate) fn new(server: &Arc<Shared>, key: usize) -> Place {
        let server = Arc::clone(server);
        let key = u32::try_from(key).expect("there are never 2^32 sockets in a process");
        let stay = Stay { server, key, holder: Holder::Sole, busy: false, ending: None };
        Place { stay, registered: None }
    }

    /// Whether the server drains. If not, the task is woken, once, when it begins to; only the task
    /// that polled last is.
    ///
    /// Cheap enough to be called at each poll: a look at one word of memory.
    pub fn poll_draining(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_draining() {
            return Poll::Ready(());
        }
        if self.registered.is_some_and(|name| name.is_of(cx.waker())) {
            return Poll::Pending;
        }
        // The server drops its clone of the other one now.
        self.registered = None;
        self.stay.set_part(cx.waker());
        self.registered = Some(Name::of(cx.waker()));
        // The drain may have begun between the look and the lock.
        if self.is_draining() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the server drains. Cancel-safe.
    pub async fn draining(&mut self) {
        operation::proceed().await;
        poll_fn(|cx| {
            ready!(coop::poll_closing());
            self.poll_draining(cx)
        })
        .await;
    }

    /// Whether the server drains.
    #[inline]
    pub fn is_draining(&self) -> bool {
        self.stay.is_draining()
    }

    /// When the connection was accepted. Takes the server's lock, since a copy of the time here
    /// would be 8 bytes of every connection: ask once a connection, not for each request.
    pub fn accepted_at(&self) -> Instant {
        self.stay.server.connections.since(self.stay.key())
    }

    /// Says whether the connection is doing something, such as serving a request. It decides
    /// nothing but what the metrics say.
    pub fn set_busy(&mut self, busy: bool) {
        self.stay.set_busy(busy);
    }

    /// What the connection shares with the others.
    #[inline]
    pub fn server(&self) -> &Arc<Shared> {
        &self.stay.server
    }

    /// Gives the place back, and says how the connection ended. This counts, not what the future
    /// that serves the connection may say later.
    pub fn leave(mut self, ending: CloseKind) {
        self.stay.ending = Some(ending);
    }

    /// The task's half of the connection's entry, for a task that the place may leave. Without one the
    /// place alone holds the entry: where it stays in its task, and where it never gets to one.
    pub(crate) fn seat(&mut self) -> Seat {
        self.stay.holder = Holder::OneOfTwo;
        let Stay { server, key, .. } = &self.stay;
        Seat { server: Arc::clone(server), key: *key, polling: false, ending: None }
    }

    /// The task of a waker begins to serve the connection. If it comes no further, it panicked.
    pub(crate) fn begin(&mut self, task: &Waker) {
        self.stay.server.connections.set_task(self.stay.key(), task);
        self.stay.ending = Some(CloseKind::Panicked);
    }

    /// The place alone, of a task that has begun.
    pub(crate) fn into_stay(mut self) -> Stay {
        self.stay.ending = None;
        self.stay
    }
}

impl Stay {
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.server.connections.is_draining()
    }

    /// Has `waker` woken when the server drains, instead of the one that was given before. The caller
    /// then asks whether the drain has begun.
    pub(crate) fn set_part(&self, waker: &Waker) {
        self.server.connections.set_part(self.key(), waker);
    }

    /// Whether the connection is to be dropped.
    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.server.connections.is_cut()
    }

    #[inline]
    pub(crate) fn server(&self) -> &Shared {
        &self.server
    }

    pub(crate) fn set_busy(&mut self, busy: bool) {
        if mem::replace(&mut self.busy, busy) != busy {
            self.server.figures.with(|figures| match busy {
                true => figures.busy.add(1),
                false => figures.busy.subtract(1),
            });
        }
    }

    /// Says how the connection ended. What was said first counts.
    pub(crate) fn tell(&mut self, ending: CloseKind) {
        self.ending.get_or_insert(ending);
    }

    fn key(&self) -> usize {
        self.key as usize
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.set_busy(false);
        let now = self.server.runtime().clock().now();
        self.server.connections.leave(self.key(), self.holder, self.ending, now);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("server", &self.stay.server.name())
            .field("busy", &self.stay.busy)
            .finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// The task of a connection whose place goes wherever its server takes it: serves the connection,
    /// unless the server cuts it off, and says how it ended.
    pub(crate) struct Serving<M, F> {
        #[pin]
        stage: Stage<M, F>,
        // Behind the stage: the place is free only after the socket is closed.
        seat: Seat,
    }
}

pin_project_lite::pin_project! {
    #[project = StageProjection]
    enum Stage<M, F> {
        // Not begun. What begins it runs in the task, so that a panic in it ends this connection
        // and not the acceptor.
        New { begin: Option<M> },
        Going { #[pin] future: F },
        Over,
    }
}

/// The task's half of a connection's entry; the other is its [`Place`].
pub(crate) struct Seat {
    server: Arc<Shared>,
    key: u32,
    /// A poll is under way; found set by the destructor, the poll panicked.
    polling: bool,
    ending: Option<CloseKind>,
}

impl<M, F> Serving<M, F>
where
    M: FnOnce() -> F,
    F: Future<Output = CloseReason>,
{
    pub(crate) fn new(seat: Seat, begin: M) -> Serving<M, F> {
        Serving { stage: Stage::New { begin: Some(begin) }, seat }
    }
}

impl<M, F> Future for Serving<M, F>
where
    M: FnOnce() -> F,
    F: Future<Output = CloseReason>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        this.seat.polling = true;
        if let StageProjection::New { begin } = this.stage.as_mut().project() {
            let begin = begin.take().expect("the stage changes in the poll that takes it");
            this.seat.server.connections.set_task(this.seat.key as usize, cx.waker());
            this.stage.set(Stage::Going { future: begin() });
        }
        let polled = match this.stage.as_mut().project() {
            StageProjection::Going { .. } if this.seat.server.connections.is_cut() => {
                Poll::Ready(CloseKind::Cancelled)
            }
            StageProjection::Going { future } => future.poll(cx).map(|reason| reason.kind()),
            StageProjection::New { .. } | StageProjection::Over => return Poll::Ready(()),
        };
        if let Poll::Ready(ending) = polled {
            this.seat.ending = Some(ending);
            this.stage.set(Stage::Over);
        }
        this.seat.polling = false;
        polled.map(drop)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let ending = if self.polling { Some(CloseKind::Panicked) } else { self.ending };
        let now = self.server.runtime().clock().now();
        let key = self.key as usize;
        self.server.connections.leave(key, Holder::OneOfTwo, ending, now);
    }
}
