//! What a service may want to know of the connection of a request.

use hyper::http::Extensions;

use super::{HttpState, Owner};
use crate::connection::transport::Transport;

impl HttpState {
    /// Has each request tell of `transport` what that adds.
    pub(in crate::http) fn set_transport(&self, transport: &impl Transport) {
        let mut added = Extensions::new();
        transport.extend(&mut added);
        if let Owner::Connection { extensions, .. } = &self.owner
            && !added.is_empty()
        {
            // Called once.
            let _ = extensions.set(added);
        }
    }

    /// Adds to a request what the service may want to know of its connection.
    pub(in crate::http) fn extend(&self, added: &mut Extensions) {
        added.insert(self.peer().clone());
        if let Owner::Connection { extensions, .. } = &self.connection().owner
            && let Some(more) = extensions.get()
        {
            added.extend(more.clone());
        }
    }
}
