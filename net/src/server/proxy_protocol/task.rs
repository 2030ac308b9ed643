//! The task of a connection that a proxy has opened.

use std::future::{Future, poll_fn};
use std::mem;
use std::sync::Arc;

use super::reader::HeaderReader;
use crate::connection::close_reason::CloseReason;
use crate::connection::permit::ConnectionPermit;
use crate::server::handshake::HandshakeTask;
use crate::server::layer::TransportLayer;
use crate::server::refuse::refuse;
use crate::server::serve::{Accepted, Serve};
use crate::socket::peer::Peer;

/// The task of a connection of a trusted proxy: the PROXY header, then the layer and the service, which
/// are given the client as the peer.
///
/// `permit` is of no address. It becomes one of the client's, or the connection is refused.
pub(in crate::server) fn task_behind_proxy<S, L>(
    layer: &Arc<L>,
    serve: &Arc<S>,
    permit: ConnectionPermit,
    accepted: Accepted,
) -> impl Future<Output: Send> + Send + 'static + use<S, L>
where
    L: TransportLayer,
    S: Serve<L::Transport>,
{
    let attribution = permit.attribution();
    let refuses = (Arc::clone(layer), Arc::clone(serve));
    let handshake = async move |mut accepted: Accepted| {
        let mut reader = HeaderReader::default();
        let client = poll_fn(|cx| reader.poll_read(cx, &mut accepted.stream)).await?;
        let Some(client) = client.map(Peer::Tcp) else { return Ok(accepted) };
        if let Some(address) = client.ip()
            && let Err(refusal) = attribution.attribute(address)
        {
            tracing::debug!(%client, "a client of a proxy is refused: its address has too many");
            let (layer, serve) = &refuses;
            refuse(&accepted.server, &**layer, &**serve, accepted.stream.socket(), refusal);
            return Err(CloseReason::Refused(refusal));
        }
        accepted.proxy = Some(mem::replace(&mut accepted.peer, client));
        Ok(accepted)
    };
    let (layer, serve) = (Arc::clone(layer), Arc::clone(serve));
    HandshakeTask::new(permit, accepted, handshake, move |permit, accepted| {
        L::task(&layer, serve, permit, accepted)
    })
}
