//! The task of a connection that a proxy has opened.

use std::future::{Future, poll_fn};
use std::mem;
use std::sync::Arc;

use heist_scheduler::{panics, set_account};

use super::reader::HeaderReader;
use crate::connection::close_reason::CloseReason;
use crate::connection::permit::{Attribution, ConnectionPermit};
use crate::connection::refusal::Refusal;
use crate::server::handshake::HandshakeTask;
use crate::server::layer::TransportLayer;
use crate::server::refuse::refuse;
use crate::server::serve::{Accepted, Serve};
use crate::socket::peer::Peer;

/// The task of a connection of a trusted proxy: the PROXY header, then the layer and the service, which
/// are given the client as the peer.
///
/// `permit` is of no address. It becomes one of the client's, as does the account of the task, or the
/// connection is refused.
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
        if let Err(refusal) = admit(attribution, &mut accepted, client.map(Peer::Tcp)) {
            let peer = &accepted.peer;
            tracing::debug!(%peer, reason = refusal.label(), "a client of a proxy is refused");
            let (layer, serve) = &refuses;
            refuse(&accepted.server, &**layer, &**serve, accepted.stream.socket(), refusal);
            return Err(CloseReason::Refused(refusal));
        }
        Ok(accepted)
    };
    let (layer, serve) = (Arc::clone(layer), Arc::clone(serve));
    HandshakeTask::new(permit, accepted, handshake, move |permit, accepted| {
        L::task(&layer, serve, permit, accepted)
    })
}

/// Makes the connection one of `client`, of which the header has told; without one, of the proxy itself.
fn admit(
    attribution: Attribution,
    accepted: &mut Accepted,
    client: Option<Peer>,
) -> Result<(), Refusal> {
    let address = client.as_ref().and_then(Peer::ip);
    if let Some(client) = client {
        accepted.proxy = Some(mem::replace(&mut accepted.peer, client));
    }
    let server = &accepted.server;
    let account = server.accounts().of_peer(&accepted.peer);
    // Where that is known of accounts it was not refused by its own. A hook that panics has not asked for it.
    let refuses = || server.should_refuse(Some(account));
    if server.accounts().are_shared()
        && panics::contain_hook("the hook overloaded_by", refuses) == Some(true)
    {
        return Err(Refusal::Overload);
    }
    if let Some(address) = address {
        attribution.attribute(address)?;
    }
    set_account(account);
    Ok(())
}
