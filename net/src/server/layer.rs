//! What stands between the accept of a connection and its service: nothing, or a layer such as TLS.

use std::future::{Future, ready};
use std::sync::Arc;

use heist_scheduler::time::Instant;

use super::handshake::HandshakeTask;
use super::metrics::TlsMetrics;
use super::serve::{Accepted, Serve};
use super::shared::Shared;
use crate::connection::close_reason::CloseReason;
use crate::connection::permit::ConnectionPermit;
use crate::connection::transport::Transport;
use crate::socket::peer::Peer;
use crate::socket::stream::Stream;

/// Makes the transport of each connection that a server accepts, before its service sees it.
///
/// The default is [`Plain`]. TLS is one. A server bounds the time that a layer takes
/// ([`Limits::handshake_timeout`](super::Limits::handshake_timeout)); until then the connection has a
/// permit, and counts towards the bounds.
pub trait TransportLayer: Send + Sync + 'static {
    /// What the service is given.
    type Transport: Transport;

    /// Called once, when the server starts. `alpn` is what its service [speaks](Serve::alpn).
    fn start(&mut self, server: &Arc<Shared>, alpn: &'static [&'static [u8]]) {
        let _ = (server, alpn);
    }

    /// Makes the transport of one connection, in the task of that connection.
    ///
    /// The future is dropped when its time is over, and when the server force-closes connections.
    ///
    /// # Errors
    ///
    /// Why the connection ends without being served. The socket is closed then.
    fn accept(
        &self,
        stream: Stream,
        peer: &Peer,
    ) -> impl Future<Output = Result<Self::Transport, CloseReason>> + Send + 'static + use<Self>;

    /// The bytes to send on the plain socket of a connection that is refused before the layer begins,
    /// where the service would say `response`. By default none: the peer does not expect plain bytes.
    fn refusal(&self, response: Option<&'static [u8]>) -> Option<&'static [u8]> {
        let _ = response;
        None
    }

    /// What is known of handshakes, if this is TLS.
    fn tls_metrics(&self) -> Option<TlsMetrics> {
        None
    }

    /// The task of one connection: the layer, then the service. Not to be overridden outside of this
    /// crate, as the task owns the permit.
    #[doc(hidden)]
    fn task<S>(
        layer: &Arc<Self>,
        serve: Arc<S>,
        permit: ConnectionPermit,
        accepted: Accepted,
    ) -> impl Future<Output: Send> + Send + 'static + use<Self, S>
    where
        Self: Sized,
        S: Serve<Self::Transport>,
    {
        let layer = Arc::clone(layer);
        let handshake = async move |accepted: Accepted| {
            let Accepted { stream, peer, proxy, drain, server, accepted_at: _ } = accepted;
            // In the task, so that a panic in it ends this connection alone.
            let stream = layer.accept(stream, &peer).await?;
            // The service has all of its own time.
            Ok(Accepted { stream, peer, proxy, drain, server, accepted_at: Instant::of_poll() })
        };
        HandshakeTask::new(permit, accepted, handshake, move |permit, accepted| {
            serve.task(permit, accepted)
        })
    }
}

/// No layer: the service is given the [`Stream`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl TransportLayer for Plain {
    type Transport = Stream;

    fn accept(
        &self,
        stream: Stream,
        _peer: &Peer,
    ) -> impl Future<Output = Result<Stream, CloseReason>> + Send + 'static + use<> {
        ready(Ok(stream))
    }

    fn refusal(&self, response: Option<&'static [u8]>) -> Option<&'static [u8]> {
        response
    }

    /// Without a layer the service's task is all there is.
    fn task<S: Serve<Stream>>(
        _layer: &Arc<Plain>,
        serve: Arc<S>,
        permit: ConnectionPermit,
        accepted: Accepted,
    ) -> impl Future<Output: Send> + Send + 'static + use<S> {
        // A PROXY header may have taken time before.
        serve.task(permit, Accepted { accepted_at: Instant::of_poll(), ..accepted })
    }
}
