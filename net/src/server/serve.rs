//! What a server does with each connection that it accepts.

use std::future::Future;
use std::sync::Arc;

use heist_scheduler::time::Instant;

use super::metrics::HttpMetrics;
use super::served_task::ServedTask;
use super::shared::Shared;
use crate::connection::close_reason::CloseReason;
use crate::connection::drain_signal::DrainSignal;
use crate::connection::permit::ConnectionPermit;
use crate::connection::refusal::Refusal;
use crate::connection::transport::Transport;
use crate::socket::peer::Peer;
use crate::socket::stream::Stream;

/// A connection that was accepted.
///
/// It is open and counted as long as the task lives that serves it. A service that gives the stream
/// to another task therefore waits for that one, or the server's bounds no longer hold for it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted<T = Stream> {
    /// The bytes of the connection: the plain socket, or what the server's
    /// [layer](super::TransportLayer) has made of it. They are counted for the server as they pass the
    /// socket.
    pub stream: T,
    /// The other end: the peer of the socket, or the client that a
    /// [trusted proxy](super::Builder::proxy_protocol) has told of.
    pub peer: Peer,
    /// The peer of the socket where `peer` is what it told of; else `None`.
    pub proxy: Option<Peer>,
    /// Says when the server drains.
    pub drain: DrainSignal,
    /// What the connections of the server share.
    pub server: Arc<Shared>,
    /// When it was accepted; behind a layer, when that was ready.
    pub accepted_at: Instant,
}

/// What a server does with each connection it accepts.
///
/// Most servers need none of their own: see [`Builder::protocol`](super::Builder::protocol),
/// [`Builder::handler`](super::Builder::handler) and [`Builder::accepted`](super::Builder::accepted).
///
/// `T` is the server's [transport](Transport). A service that works on each of them implements this for
/// all.
pub trait Serve<T: Transport = Stream>: Send + Sync + 'static {
    /// Serves one connection to its end, in a task of its own, and returns why it ended.
    ///
    /// It is called in that task, so a panic in it ends this connection alone. The future is
    /// dropped when the server force-closes what is left. An implementation in this crate's edition
    /// has to say `use<…>` with its own type parameters, as the future cannot borrow from `self`.
    fn serve(
        &self,
        accepted: Accepted<T>,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<Self, T>;

    /// The task that [`serve`](Serve::serve)s. Not to be overridden outside of this crate: the task
    /// owns the permit, and so decides how long the connection counts. A service that wraps another
    /// one calls `serve` of that one, whose future may be polled by any task.
    #[doc(hidden)]
    fn task(
        self: Arc<Self>,
        permit: ConnectionPermit,
        mut accepted: Accepted<T>,
    ) -> impl Future<Output: Send> + Send + 'static
    where
        Self: Sized,
    {
        let activity = (!self.reports_activity()).then(|| accepted.drain.begin_activity());
        ServedTask::new(permit, activity, move || self.serve(accepted))
    }

    /// Called once, when the server starts, to set up what needs the runtime or the bounds.
    fn start(&mut self, server: &Arc<Shared>) {
        let _ = server;
    }

    /// Whether it says by itself, from the first poll of each connection, when that is active. Not to be
    /// overridden outside of this crate: code there says so by [`DrainSignal::set_busy`].
    #[doc(hidden)]
    fn reports_activity(&self) -> bool {
        false
    }

    /// The protocols that this speaks by their names for ALPN, the best one first. A layer such as TLS
    /// offers them, unless it is told otherwise. By default none.
    fn alpn(&self) -> &'static [&'static [u8]] {
        &[]
    }

    /// The bytes to send to a connection that is refused, if any, such as a whole response that says
    /// 503. They are sent without waiting, then the connection is closed.
    fn refusal(&self, reason: Refusal) -> Option<&'static [u8]> {
        let _ = reason;
        None
    }

    /// What is known of requests, if this speaks HTTP.
    fn http_metrics(&self) -> Option<HttpMetrics> {
        None
    }
}
