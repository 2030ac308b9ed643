//! What the engine bounds in a probe's connection.

use std::time::Duration;

use heist::protocol::Limits;

use crate::wire;

/// The bounds for a torrent of so many `pieces`.
///
/// A probe has one limit in time for everything, and says what it waited for when it ends. The
/// engine has none, or it would end some peers before that.
pub(crate) fn limits(pieces: usize) -> Limits {
    Limits {
        // The engine refuses a longer message before it arrives.
        max_message: wire::longest_message(pieces),
        idle_timeout: Duration::MAX,
        message_timeout: Duration::MAX,
        write_timeout: Duration::MAX,
        min_receive_rate: 0,
        min_send_rate: 0,
        // The last output need not arrive, so there is no wait for the peer to close.
        linger_timeout: Duration::ZERO,
        ..Limits::default()
    }
}
