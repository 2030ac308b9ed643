//! The end of an inbox that other tasks have.

use std::fmt;
use std::sync::Arc;

use super::error::SendError;
use super::queue::Inbox;
use super::send::SendFuture;

/// Sends messages to the protocol of one connection; made by
/// [`Connection::inbox`](crate::Connection::inbox). Clones send to the same connection.
///
/// It does not keep the connection open.
pub struct Sender<M>(Arc<Inbox<M>>);

impl<M> Sender<M> {
    pub(in crate::protocol) fn new(inbox: Arc<Inbox<M>>) -> Sender<M> {
        Sender(inbox)
    }

    /// Sends `message`, or gives it back at once.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if as many wait as may, those counted that [`send`](Sender::send) waits to
    /// send: the connection has more to do than it can, or its peer does not read.
    /// [`SendError::Closed`] if it has ended.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        self.0.try_put(message)
    }

    /// Sends `message`, and waits for room if need be.
    ///
    /// Where many wait, they get room in the order in which they were first polled, and each is woken
    /// when there is room for it. Cancel-safe: dropped before it completes, it has sent nothing, and
    /// the next one has its slot. One that was woken keeps its slot until it is polled or dropped.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection has ended.
    pub fn send(&self, message: M) -> SendFuture<'_, M> {
        SendFuture::new(&self.0, message)
    }

    /// Ends the connection at once, as [`Context::abort`](crate::protocol::Context::abort) would: for the
    /// reason [`CloseReason::Aborted`](crate::protocol::CloseReason::Aborted).
    ///
    /// Unlike a message it needs no room in the inbox, and it reaches a connection whose peer does
    /// not read, to which messages are not given, and one that is about to close. Messages that
    /// wait are dropped. It returns at once; the connection's task ends it. Once it has ended, this
    /// does nothing.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

#[cfg(test)]
impl<M> Sender<M> {
    /// Whether a thread holds the lock of the inbox.
    pub(super) fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

impl<M> Clone for Sender<M> {
    fn clone(&self) -> Sender<M> {
        Sender(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Sender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}
