//! SendFuture one message.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use heist_scheduler::coop;

use super::error::SendError;
use super::queue::Inbox;
use super::wait_list::WaiterKey;

/// The future of [`Sender::send`](super::Sender::send).
#[must_use = "futures do nothing unless awaited"]
pub struct SendFuture<'a, M> {
    inbox: &'a Inbox<M>,
    message: Option<M>,
    /// Names this future among those that wait for room, while it does.
    waiter: Option<WaiterKey>,
}

impl<M> Future for SendFuture<'_, M> {
    type Output = Result<(), SendError<M>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(coop::poll_proceed(cx));
        let this = self.get_mut();
        let message = this.message.take().expect("a SendFuture is not polled after it completed");
        match this.inbox.put_or_wait(message, &mut this.waiter, cx) {
            Err(SendError::Full(message)) => {
                coop::restore();
                this.message = Some(message);
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }
}

impl<'a, M> SendFuture<'a, M> {
    pub(super) fn new(inbox: &'a Inbox<M>, message: M) -> SendFuture<'a, M> {
        SendFuture { inbox, message: Some(message), waiter: None }
    }
}

/// The message is never pinned.
impl<M> Unpin for SendFuture<'_, M> {}

impl<M> Drop for SendFuture<'_, M> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            self.inbox.leave(waiter);
        }
    }
}

impl<M> fmt::Debug for SendFuture<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture").field("waits", &self.waiter.is_some()).finish_non_exhaustive()
    }
}
