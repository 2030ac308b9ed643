//! Messages from other tasks to a protocol: bounded, in order.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use heist_scheduler::{coop, task};
use parking_lot::Mutex;

/// Sends messages to the protocol of one connection; made by
/// [`Connection::inbox`](super::Connection::inbox). Clones send to the same connection.
///
/// It does not keep the connection open.
pub struct Sender<M>(Arc<Inbox<M>>);

impl<M> Sender<M> {
    pub(super) fn new(inbox: Arc<Inbox<M>>) -> Sender<M> {
        Sender(inbox)
    }

    /// Sends `message`, or gives it back at once.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if as many wait as may: the connection has more to do than it can, or
    /// its peer does not read. [`SendError::Closed`] if it has ended.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        self.0.try_put(message)
    }

    /// Sends `message`, and waits for room if need be.
    ///
    /// Cancel-safe: dropped before it completes, it has sent nothing. Where many wait, the order in
    /// which they get room is not fixed.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection has ended.
    pub fn send(&self, message: M) -> Sending<'_, M> {
        Sending { inbox: &self.0, message: Some(message), ticket: None }
    }

    /// Ends the connection at once, as [`Context::abort`](super::Context::abort) would: for the
    /// reason [`Closed::Aborted`](super::Closed::Aborted).
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
        self.0.state.lock().closed
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

/// Why a message was not sent, and the message.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError<M> {
    /// As many messages wait as may.
    #[error("the connection's inbox is full")]
    Full(M),
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed(M),
}

impl<M> SendError<M> {
    /// The message that was not sent.
    pub fn into_message(self) -> M {
        match self {
            SendError::Full(message) | SendError::Closed(message) => message,
        }
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Full(_) => "Full",
            SendError::Closed(_) => "Closed",
        })
    }
}

/// The future of [`Sender::send`].
#[must_use = "futures do nothing unless awaited"]
pub struct Sending<'a, M> {
    inbox: &'a Inbox<M>,
    message: Option<M>,
    /// Names this future's waker among those that wait for room.
    ticket: Option<u64>,
}

impl<M> Future for Sending<'_, M> {
    type Output = Result<(), SendError<M>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(coop::poll_proceed(cx));
        let this = self.get_mut();
        let message = this.message.take().expect("a Sending is not polled after it completed");
        match this.inbox.put_or_wait(message, &mut this.ticket, cx) {
            Err(SendError::Full(message)) => {
                coop::restore();
                this.message = Some(message);
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }
}

/// The message is never pinned.
impl<M> Unpin for Sending<'_, M> {}

impl<M> Drop for Sending<'_, M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.inbox.state.lock().senders.retain(|(other, _)| *other != ticket);
        }
    }
}

impl<M> fmt::Debug for Sending<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("waits", &self.ticket.is_some()).finish_non_exhaustive()
    }
}

/// What the senders and the connection share.
pub(super) struct Inbox<M> {
    state: Mutex<State<M>>,
    bound: usize,
}

struct State<M> {
    messages: VecDeque<M>,
    /// The connection's, while it waits for a message.
    receiver: Option<Waker>,
    /// Those of the senders that wait for room, with their tickets.
    senders: Vec<(u64, Waker)>,
    next_ticket: u64,
    /// A sender wants the connection to end.
    aborted: bool,
    closed: bool,
}

/// What the connection finds in its inbox.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken<M> {
    Message(M),
    /// It is to end at once.
    Abort,
}

impl<M> Inbox<M> {
    /// At least one message has room: an inbox without any would hold its senders up for ever.
    pub(super) fn new(bound: usize) -> Inbox<M> {
        let state = State {
            messages: VecDeque::new(),
            receiver: None,
            senders: Vec::new(),
            next_ticket: 0,
            aborted: false,
            closed: false,
        };
        Inbox { state: Mutex::new(state), bound: bound.max(1) }
    }

    /// Takes the oldest message, or stores the connection's waker. Wakes all senders that wait for
    /// room, of which one may be gone already, and the others find out.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Taken<M>> {
        let mut state = self.state.lock();
        if state.aborted {
            return Poll::Ready(Taken::Abort);
        }
        let Some(message) = state.messages.pop_front() else {
            let old = state.wait(cx);
            drop(state);
            drop(old);
            return Poll::Pending;
        };
        let senders = mem::take(&mut state.senders);
        drop(state);
        wake(senders);
        Poll::Ready(Taken::Message(message))
    }

    /// Whether a sender wants the connection to end; if not, stores its waker. Leaves the messages.
    pub(super) fn poll_abort(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.aborted {
            return Poll::Ready(());
        }
        let old = state.wait(cx);
        drop(state);
        drop(old);
        Poll::Pending
    }

    fn abort(&self) {
        let mut state = self.state.lock();
        state.aborted = true;
        let receiver = state.receiver.take();
        drop(state);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    /// Refuses all messages from now on, and drops those that wait.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let messages = mem::take(&mut state.messages);
        let senders = mem::take(&mut state.senders);
        let receiver = state.receiver.take();
        // Destructors and wakers are foreign code: they run without the lock.
        drop(state);
        drop((messages, receiver));
        wake(senders);
    }

    fn try_put(&self, message: M) -> Result<(), SendError<M>> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SendError::Closed(message));
        }
        if state.messages.len() >= self.bound {
            return Err(SendError::Full(message));
        }
        state.messages.push_back(message);
        let receiver = state.receiver.take();
        drop(state);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        Ok(())
    }

    /// As `try_put`, but if there is no room the task will be woken when there may be.
    fn put_or_wait(
        &self,
        message: M,
        ticket: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Result<(), SendError<M>> {
        let message = match self.try_put(message) {
            Err(SendError::Full(message)) => message,
            outcome => return outcome,
        };
        self.state.lock().wait_for_room(ticket, cx);
        // Room that came before the waker was stored has woken nobody: look again.
        self.try_put(message)
    }
}

impl<M> State<M> {
    /// Stores the connection's waker. Returns what is to be dropped without the lock.
    fn wait(&mut self, cx: &Context<'_>) -> Option<Waker> {
        match self.receiver.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            true => None,
            false => self.receiver.replace(cx.waker().clone()),
        }
    }

    fn wait_for_room(&mut self, ticket: &mut Option<u64>, cx: &mut Context<'_>) {
        let ticket = *ticket.get_or_insert_with(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        let waker = cx.waker().clone();
        match self.senders.iter_mut().find(|(other, _)| *other == ticket) {
            Some((_, old)) => *old = waker,
            None => self.senders.push((ticket, waker)),
        }
    }
}

fn wake(senders: Vec<(u64, Waker)>) {
    task::wake_all(senders.into_iter().map(|(_, waker)| waker));
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn inbox(bound: usize) -> (Arc<Inbox<u32>>, Sender<u32>, Arc<Count>, Waker) {
        let inbox = Arc::new(Inbox::new(bound));
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        (Arc::clone(&inbox), Sender::new(inbox), count, waker)
    }

    #[test]
    fn full_inbox_refuses_and_keeps_what_it_has() {
        let (inbox, sender, _, waker) = inbox(2);
        let cx = &mut Context::from_waker(&waker);
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Ok(()));
        assert_eq!(sender.try_send(3), Err(SendError::Full(3)));
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(1)));
        assert_eq!(sender.try_send(4), Ok(()));
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(2)));
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(4)));
    }

    #[test]
    fn message_to_an_empty_inbox_wakes_the_connection_once() {
        let (inbox, sender, count, waker) = inbox(2);
        assert!(inbox.poll_take(&mut Context::from_waker(&waker)).is_pending());
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn waiting_sender_is_woken_by_room_and_by_the_end() {
        let (inbox, sender, count, waker) = inbox(1);
        let cx = &mut Context::from_waker(&waker);
        sender.try_send(1).unwrap();
        let mut send = pin!(sender.send(2));
        assert!(send.as_mut().poll(cx).is_pending());
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(1)));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(send.as_mut().poll(cx), Poll::Ready(Ok(())));

        let mut late = pin!(sender.send(3));
        assert!(late.as_mut().poll(cx).is_pending());
        inbox.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(late.as_mut().poll(cx), Poll::Ready(Err(SendError::Closed(3))));
        assert!(sender.is_closed());
    }

    #[test]
    fn abort_needs_no_room_and_comes_before_the_messages() {
        let (inbox, sender, count, waker) = inbox(1);
        let cx = &mut Context::from_waker(&waker);
        assert!(inbox.poll_abort(cx).is_pending());
        sender.abort();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        sender.try_send(1).unwrap();
        assert!(inbox.poll_abort(cx).is_ready());
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Abort));
    }

    #[test]
    fn cancelled_send_leaves_no_waker_behind() {
        let (inbox, sender, count, waker) = inbox(1);
        let cx = &mut Context::from_waker(&waker);
        sender.try_send(1).unwrap();
        for _ in 0..3 {
            let mut send = Box::pin(sender.send(2));
            assert!(send.as_mut().poll(cx).is_pending());
        }
        assert!(inbox.state.lock().senders.is_empty());
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(1)));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }
}
