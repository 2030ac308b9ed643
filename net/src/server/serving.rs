//! What is served: a protocol on the engine, or a function of the connection.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use heist_scheduler::coop;
use heist_scheduler::time::{Instant, Timer};

use super::protocol_task::ProtocolTask;
use super::shared::Shared;
use super::{Accepted, Serve};
use crate::connection::close_reason::CloseReason;
use crate::connection::place::Place;
use crate::protocol::{self, Connection, Protocol};
use crate::socket::peer::Peer;
use crate::socket::stream::Stream;

/// Serves each connection with a [`Protocol`] on the engine; see
/// [`Builder::protocol`](super::Builder::protocol).
pub struct ByProtocol<M> {
    make: M,
    limits: Option<protocol::Limits>,
}

impl<M> ByProtocol<M> {
    /// Serves with what `make` makes for each connection, within the server's bounds.
    pub fn new(make: M) -> ByProtocol<M> {
        ByProtocol { make, limits: None }
    }

    /// Sets the bounds of each connection, which otherwise follow from those of the server.
    #[must_use = "the protocol is consumed"]
    pub fn limits(mut self, limits: protocol::Limits) -> ByProtocol<M> {
        self.limits = Some(limits);
        self
    }
}

impl<M, P> Serve for ByProtocol<M>
where
    M: Fn(&Peer) -> P + Send + Sync + 'static,
    P: Protocol,
{
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<M, P> {
        self.begin(accepted)
    }

    fn task(self: Arc<Self>, accepted: Accepted) -> impl Future<Output: Send> + Send + 'static {
        ProtocolTask::new(accepted, move |accepted| self.begin(accepted))
    }

    fn start(&mut self, server: &Arc<Shared>) {
        if let Some(limits) = self.limits.take() {
            server.set_protocol_limits(limits);
        }
    }
}

impl<M> ByProtocol<M> {
    fn begin<P: Protocol>(&self, accepted: Accepted) -> Connection<P>
    where
        M: Fn(&Peer) -> P,
    {
        let Accepted { stream, peer, place } = accepted;
        Connection::with_permit(stream, place, (self.make)(&peer))
    }
}

impl<M> fmt::Debug for ByProtocol<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByProtocol").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Serves each connection with a [`Protocol`] that has a sender of its own; see
/// [`Builder::protocol_with_inbox`](super::Builder::protocol_with_inbox).
pub struct ByInbox<M, P> {
    make: M,
    limits: Option<protocol::Limits>,
    protocol: PhantomData<fn() -> P>,
}

impl<M, P> ByInbox<M, P> {
    /// Serves with what `make` makes for each connection, within the server's bounds.
    pub fn new(make: M) -> ByInbox<M, P> {
        ByInbox { make, limits: None, protocol: PhantomData }
    }

    /// Sets the bounds of each connection, that of its inbox among them, which otherwise follow
    /// from those of the server.
    #[must_use = "the protocol is consumed"]
    pub fn limits(mut self, limits: protocol::Limits) -> ByInbox<M, P> {
        self.limits = Some(limits);
        self
    }
}

impl<M, P> Serve for ByInbox<M, P>
where
    M: Fn(&Peer, protocol::Sender<P::Message>) -> P + Send + Sync + 'static,
    P: Protocol,
{
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<M, P> {
        self.begin(accepted)
    }

    fn task(self: Arc<Self>, accepted: Accepted) -> impl Future<Output: Send> + Send + 'static {
        ProtocolTask::new(accepted, move |accepted| self.begin(accepted))
    }

    fn start(&mut self, server: &Arc<Shared>) {
        if let Some(limits) = self.limits.take() {
            server.set_protocol_limits(limits);
        }
    }
}

impl<M, P: Protocol> ByInbox<M, P> {
    fn begin(&self, accepted: Accepted) -> Connection<P>
    where
        M: Fn(&Peer, protocol::Sender<P::Message>) -> P,
    {
        let Accepted { stream, peer, place } = accepted;
        let make = |sender| (self.make)(&peer, sender);
        Connection::with_permit_and_inbox(stream, place, make)
    }
}

impl<M, P> fmt::Debug for ByInbox<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByInbox").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Serves each connection with an `async` function of its stream; see
/// [`Builder::handler`](super::Builder::handler).
pub struct Handler<H>(H);

impl<H> Handler<H> {
    /// Serves with what `handle` does with each stream.
    pub fn new(handle: H) -> Handler<H> {
        Handler(handle)
    }
}

impl<H, F> Serve for Handler<H>
where
    H: Fn(Stream, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<H, F> {
        let Accepted { stream, peer, place } = accepted;
        Handling { future: (self.0)(stream, peer), idle: Timer::new(), looks: 0, place }
    }
}

impl<H> fmt::Debug for Handler<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// Serves each connection with an `async` function of all that there is to know of it; see
/// [`Builder::accepted`](super::Builder::accepted).
pub struct AcceptedHandler<H>(H);

impl<H> AcceptedHandler<H> {
    /// Serves with what `handle` does with each connection.
    pub fn new(handle: H) -> AcceptedHandler<H> {
        AcceptedHandler(handle)
    }
}

impl<H, F> Serve for AcceptedHandler<H>
where
    H: Fn(Accepted) -> F + Send + Sync + 'static,
    F: Future<Output = CloseReason> + Send + 'static,
{
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<H, F> {
        (self.0)(accepted)
    }
}

impl<H> fmt::Debug for AcceptedHandler<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AcceptedHandler")
    }
}

pin_project_lite::pin_project! {
    /// A handler at work. Each poll of it means that something happened; one that nothing happens
    /// to for too long is idle.
    struct Handling<F> {
        #[pin]
        future: F,
        idle: Timer,
        // How often it was polled since its time was over, and nothing came.
        looks: u8,
        // Behind the future, which owns the stream.
        place: Place,
    }
}

impl<F: Future<Output = io::Result<()>>> Future for Handling<F> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.project();
        let over = this.idle.poll_elapsed(cx).is_ready();
        let before = coop::operations_left();
        if let Poll::Ready(outcome) = this.future.poll(cx) {
            return Poll::Ready(match outcome {
                Ok(()) if this.place.is_draining() => CloseReason::Drained,
                Ok(()) => CloseReason::Finished,
                Err(error) => error.into(),
            });
        }
        // The timer was set at the poll before. If it has elapsed and nothing is ready now, either
        // nothing came in between, or the event that tells of it is still to be taken from the queue.
        if over && coop::operations_left() == before {
            if *this.looks == LOOKS {
                return Poll::Ready(CloseReason::IdleTimeout);
            }
            *this.looks += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        *this.looks = 0;
        this.idle.set(Some(Instant::of_poll() + this.place.server().limits().idle_timeout));
        if this.idle.poll_elapsed(cx).is_ready() {
            // Not idle yet: the poll itself has taken as long as that.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// After so many turns a worker has polled the event queue twice, whatever else it has to do.
const LOOKS: u8 = 128;
