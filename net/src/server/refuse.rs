//! Closing a connection that is not served.

use std::net::Shutdown;

use heist_scheduler::panics;

use super::layer::TransportLayer;
use super::serve::Serve;
use super::shared::Shared;
use crate::connection::refusal::Refusal;
use crate::socket::sys;

/// Counts the refusal of a connection, and sends the service's response to it if it has any and the
/// layer lets it pass. The caller closes the socket.
pub(super) fn refuse<S, L>(
    server: &Shared,
    layer: &L,
    serve: &S,
    socket: &sys::Stream,
    refusal: Refusal,
) where
    L: TransportLayer,
    S: Serve<L::Transport>,
{
    server.connections().table.count_refusal(refusal);
    let response = panics::contain_hook("Serve::refusal", || layer.refusal(serve.refusal(refusal)));
    let Some(response) = response.flatten() else { return };
    // A peer that does not take all of the response is not waited for.
    let _ = socket.write(response);
    let _ = socket.shutdown(Shutdown::Write);
    // Closed with its request unread, the socket would be reset and the response lost.
    let _ = socket.read(&mut [0; DISCARD]);
}

/// How many bytes of a refused connection are read before it is closed.
const DISCARD: usize = 4096;
