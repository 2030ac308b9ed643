//! Services that put a protocol on each connection.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use super::protocol_task::ProtocolTask;
use super::serve::{Accepted, Serve};
use super::shared::Shared;
use crate::connection::close_reason::CloseReason;
use crate::connection::permit::ConnectionPermit;
use crate::connection::transport::Transport;
use crate::protocol::{self, Connection, Protocol};
use crate::socket::peer::Peer;

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

impl<M, P, T> Serve<T> for ByProtocol<M>
where
    T: Transport,
    M: Fn(&Peer) -> P + Send + Sync + 'static,
    P: Protocol,
{
    fn serve(
        &self,
        accepted: Accepted<T>,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<M, P, T> {
        let Accepted { stream, peer, drain, .. } = accepted;
        Connection::with_drain_signal(drain, stream.into_io(), (self.make)(&peer))
    }

    fn task(
        self: Arc<Self>,
        permit: ConnectionPermit,
        accepted: Accepted<T>,
    ) -> impl Future<Output: Send> + Send + 'static {
        ProtocolTask::new(permit, accepted, move |permit, accepted: Accepted<T>| {
            let Accepted { stream, peer, .. } = accepted;
            Connection::with_permit(permit, stream.into_io(), || (self.make)(&peer))
        })
    }

    fn start(&mut self, server: &Arc<Shared>) {
        if let Some(limits) = self.limits.take() {
            server.connections().set_limits(limits);
        }
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

impl<M, P, T> Serve<T> for ByInbox<M, P>
where
    T: Transport,
    M: Fn(&Peer, protocol::Sender<P::Message>) -> P + Send + Sync + 'static,
    P: Protocol,
{
    fn serve(
        &self,
        accepted: Accepted<T>,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<M, P, T> {
        let Accepted { stream, peer, drain, .. } = accepted;
        Connection::with_drain_signal_and_inbox(drain, stream.into_io(), |sender| {
            (self.make)(&peer, sender)
        })
    }

    fn task(
        self: Arc<Self>,
        permit: ConnectionPermit,
        accepted: Accepted<T>,
    ) -> impl Future<Output: Send> + Send + 'static {
        ProtocolTask::new(permit, accepted, move |permit, accepted: Accepted<T>| {
            let Accepted { stream, peer, .. } = accepted;
            Connection::with_permit_and_inbox(permit, stream.into_io(), |sender| {
                (self.make)(&peer, sender)
            })
        })
    }

    fn start(&mut self, server: &Arc<Shared>) {
        if let Some(limits) = self.limits.take() {
            server.connections().set_limits(limits);
        }
    }
}

impl<M, P> fmt::Debug for ByInbox<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByInbox").field("limits", &self.limits).finish_non_exhaustive()
    }
}
