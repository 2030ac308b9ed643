//! What a service may want to know of the connection of a request.

use std::sync::OnceLock;

use hyper::http::Extensions;

use super::{HttpState, Owner};
use crate::connection::transport::Transport;

impl HttpState {
    /// Has each request tell of `transport` what that adds.
    pub(in crate::http) fn set_transport(&self, transport: &impl Transport) {
        let mut added = Extensions::new();
        transport.extend(&mut added);
        if let Owner::Connection { extensions, peer, .. } = &self.owner
            && !added.is_empty()
        {
            added.insert(peer.clone());
            // Called once.
            let _ = extensions.set(added);
        }
    }

    /// Adds to a request what the service may want to know of its connection.
    pub(in crate::http) fn extend(&self, added: &mut Extensions) {
        let Owner::Connection { extensions, peer, .. } = &self.connection().owner else { return };
        match extensions.get() {
            None => {
                if added.is_empty() {
                    *added = with_room();
                }
                added.insert(peer.clone());
            }
            // One map less to allocate than by merging two.
            Some(all) if added.is_empty() => *added = all.clone(),
            Some(all) => added.extend(all.clone()),
        }
    }
}

/// Empty, with room for those of this crate and of a router: a copy keeps the room, and the table need not
/// be made anew when the fourth is added.
fn with_room() -> Extensions {
    static ROOM: OnceLock<Extensions> = OnceLock::new();
    let room = ROOM.get_or_init(|| {
        let mut room = Extensions::new();
        // A type each.
        room.insert([(); 0]);
        room.insert([(); 1]);
        room.insert([(); 2]);
        room.insert([(); 3]);
        room.clear();
        room
    });
    room.clone()
}
