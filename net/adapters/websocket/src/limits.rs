//! The bounds of a WebSocket.

use std::time::Duration;

use tungstenite::protocol::WebSocketConfig;

/// The bounds of one WebSocket, besides those of its server.
///
/// ```
/// use heist_websocket::Limits;
///
/// let limits = Limits { message: 64 * 1024, ..Limits::default() };
/// assert_eq!(limits.frame, 1024 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message from the peer, all its fragments together. By default 1 MiB.
    pub message: usize,
    /// Bytes of one frame from the peer. By default 1 MiB.
    pub frame: usize,
    /// How long a WebSocket that closes waits for the peer to close it too. By default 5 s.
    pub close_timeout: Duration,
}

impl Default for Limits {
    /// As each of them says.
    fn default() -> Limits {
        Limits { message: 1024 * 1024, frame: 1024 * 1024, close_timeout: Duration::from_secs(5) }
    }
}

impl Limits {
    pub(crate) fn config(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Each message is written at once: nothing waits for a later one.
            .write_buffer_size(0)
            .max_message_size(Some(self.message))
            .max_frame_size(Some(self.frame.min(self.message)))
    }

    /// How many bytes may come before a message is whole. The heads of its frames may take as much as
    /// the message, and a little more for short ones.
    pub(crate) fn received(&self) -> usize {
        self.message.saturating_mul(2).saturating_add(HEADS)
    }
}

/// tungstenite takes this much for as long as a WebSocket is open.
pub(crate) const READ_BUFFER: usize = 4 * 1024;

/// Bytes of the heads of a message's fragments that are always allowed.
const HEADS: usize = 64 * 1024;
