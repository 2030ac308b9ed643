//! Services that serve each connection with an `async` function.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use heist_scheduler::coop;
use heist_scheduler::time::{Instant, Timer};

use super::serve::{Accepted, Serve};
use super::shared::Shared;
use crate::connection::close_reason::CloseReason;
use crate::connection::transport::Transport;
use crate::socket::peer::Peer;

/// Serves each connection with an `async` function of its stream; see
/// [`Builder::handler`](super::Builder::handler).
pub struct Handler<H> {
    handle: H,
    idle_timeout: Option<Duration>,
}

impl<H> Handler<H> {
    /// Serves with what `handle` does with each stream.
    pub fn new(handle: H) -> Handler<H> {
        Handler { handle, idle_timeout: None }
    }

    /// Sets for how long a future may not be woken, instead of
    /// [`Limits::idle_timeout`](super::Limits::idle_timeout): a protocol whose connections live long and
    /// are quiet wants more than one of requests.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use heist::net::Stream;
    /// use heist::server::{Handler, Peer, Server};
    ///
    /// # async fn subscribe(_: Stream, _: Peer) -> std::io::Result<()> { Ok(()) }
    /// let hour = Duration::from_secs(3600);
    /// let server = Server::builder().serve(Handler::new(subscribe).idle_timeout(hour));
    /// # drop(server);
    /// ```
    #[must_use = "the handler is consumed"]
    pub fn idle_timeout(mut self, limit: Duration) -> Handler<H> {
        self.idle_timeout = Some(limit);
        self
    }
}

impl<H, F, T> Serve<T> for Handler<H>
where
    T: Transport,
    H: Fn(T, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    fn serve(
        &self,
        accepted: Accepted<T>,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<H, F, T> {
        let Accepted { stream, peer, server, .. } = accepted;
        let idle_timeout = self.idle_timeout.unwrap_or(server.limits().idle_timeout);
        let future = (self.handle)(stream, peer);
        HandlerFuture { future, idle: Timer::new(), looks: 0, idle_timeout, server }
    }
}

impl<H> fmt::Debug for Handler<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// Serves each connection with an `async` function of the whole [`Accepted`]; see
/// [`Builder::accepted`](super::Builder::accepted).
pub struct AcceptedHandler<H>(H);

impl<H> AcceptedHandler<H> {
    /// Serves with what `handle` does with each connection.
    pub fn new(handle: H) -> AcceptedHandler<H> {
        AcceptedHandler(handle)
    }
}

impl<H, F, T> Serve<T> for AcceptedHandler<H>
where
    T: Transport,
    H: Fn(Accepted<T>) -> F + Send + Sync + 'static,
    F: Future<Output = CloseReason> + Send + 'static,
{
    fn serve(
        &self,
        accepted: Accepted<T>,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<H, F, T> {
        (self.0)(accepted)
    }
}

impl<H> fmt::Debug for AcceptedHandler<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AcceptedHandler")
    }
}

pin_project_lite::pin_project! {
    /// The future of a handler. It is polled when something happens; one that is not polled for too
    /// long is idle.
    struct HandlerFuture<F> {
        #[pin]
        future: F,
        idle: Timer,
        // How often it was polled since its time was over, and nothing came.
        looks: u8,
        idle_timeout: Duration,
        server: Arc<Shared>,
    }
}

impl<F: Future<Output = io::Result<()>>> Future for HandlerFuture<F> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.project();
        let over = this.idle.poll_elapsed(cx).is_ready();
        let before = coop::operations_left();
        if let Poll::Ready(outcome) = this.future.poll(cx) {
            return Poll::Ready(match outcome {
                Ok(()) if this.server.is_draining() => CloseReason::Drained,
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
        this.idle.set(Some(Instant::of_poll() + *this.idle_timeout));
        if this.idle.poll_elapsed(cx).is_ready() {
            // Not idle yet: the poll itself has taken as long as that.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// After so many turns a worker has polled the event queue twice, whatever else it has to do.
pub(crate) const LOOKS: u8 = 128;
