//! Messages from other tasks to a protocol: bounded, in order.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use heist_scheduler::{coop, panics};
use parking_lot::{Mutex, MutexGuard};

use super::room::{Room, Ticket};
use crate::runtime::wakers::LazyWaker;

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
    /// the next one has its place. One that was woken keeps its place until it is polled or dropped.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection has ended.
    pub fn send(&self, message: M) -> Sending<'_, M> {
        Sending { inbox: &self.0, message: Some(message), ticket: None }
    }

    /// Ends the connection at once, as [`Context::abort`](super::Context::abort) would: for the
    /// reason [`CloseReason::Aborted`](super::CloseReason::Aborted).
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
    /// Names this future among those that wait for room, while it does.
    ticket: Option<Ticket>,
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
            self.inbox.leave(ticket);
        }
    }
}

impl<M> fmt::Debug for Sending<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("waits", &self.ticket.is_some()).finish_non_exhaustive()
    }
}

/// What the senders and the connection share.
///
/// One lock guards all of it, and each operation holds it once for each decision: there is no order of
/// two operations that a single thread cannot bring about. A loom model would find nothing more.
/// Wakers and messages are foreign code: they are cloned, called and dropped without the lock.
pub(super) struct Inbox<M> {
    state: Mutex<State<M>>,
    bound: usize,
}

struct State<M> {
    /// With the places given in `room` never more than the bound, and as many if a sender waits.
    messages: VecDeque<M>,
    /// The connection's, while it waits for a message.
    receiver: Option<Waker>,
    room: Room,
    /// A sender wants the connection to end.
    aborted: bool,
    /// All tickets are void. Never taken back.
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
            room: Room::default(),
            aborted: false,
            closed: false,
        };
        Inbox { state: Mutex::new(state), bound: bound.max(1) }
    }

    /// Takes the oldest message, and gives its place to the first sender that waits; or stores the
    /// connection's waker.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Taken<M>> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.aborted {
                return Poll::Ready(Taken::Abort);
            }
            if let Some(message) = state.messages.pop_front() {
                let next = state.room.give();
                drop(state);
                panics::wake_all(next);
                return Poll::Ready(Taken::Message(message));
            }
            if fresh.store_in(&mut state.receiver) {
                return Poll::Pending;
            }
            drop(state);
            fresh.prepare();
        }
    }

    /// Whether a sender wants the connection to end; if not, stores its waker. Leaves the messages.
    pub(super) fn poll_abort(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.aborted {
                return Poll::Ready(());
            }
            if fresh.store_in(&mut state.receiver) {
                return Poll::Pending;
            }
            drop(state);
            fresh.prepare();
        }
    }

    fn abort(&self) {
        let mut state = self.state.lock();
        state.aborted = true;
        let receiver = state.receiver.take();
        drop(state);
        panics::wake_all(receiver);
    }

    /// Refuses all messages from now on, and drops those that wait.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let messages = mem::take(&mut state.messages);
        let senders = state.room.close();
        let receiver = state.receiver.take();
        drop(state);
        panics::wake_all(senders);
        drop((messages, receiver));
    }

    fn try_put(&self, message: M) -> Result<(), SendError<M>> {
        let state = self.state.lock();
        if state.closed {
            return Err(SendError::Closed(message));
        }
        if !state.has_room(self.bound) {
            return Err(SendError::Full(message));
        }
        put(state, message);
        Ok(())
    }

    /// As `try_put`, but if there is no room the task is woken once there is a place for it, which
    /// `ticket` names meanwhile.
    fn put_or_wait(
        &self,
        message: M,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
    ) -> Result<(), SendError<M>> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.closed {
                *ticket = None;
                return Err(SendError::Closed(message));
            }
            let waits = match *ticket {
                Some(waiting) if state.room.has_place(waiting) => {
                    state.room.take_place(waiting);
                    *ticket = None;
                    put(state, message);
                    return Ok(());
                }
                Some(waiting) => fresh.store_in(state.room.waker(waiting)),
                None if state.has_room(self.bound) => {
                    put(state, message);
                    return Ok(());
                }
                None => match fresh.take() {
                    Some(waker) => {
                        *ticket = Some(state.room.wait(waker));
                        true
                    }
                    None => false,
                },
            };
            drop(state);
            if waits {
                return Err(SendError::Full(message));
            }
            fresh.prepare();
        }
    }

    /// A sender waits no longer.
    fn leave(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let (waker, next) = state.room.leave(ticket);
        drop(state);
        panics::wake_all(next);
        drop(waker);
    }
}

impl<M> State<M> {
    /// Whether there is a place that no sender was given.
    fn has_room(&self, bound: usize) -> bool {
        self.messages.len() + self.room.given() < bound
    }
}

/// Adds a message that has a place, and wakes the connection without the lock.
fn put<M>(mut state: MutexGuard<'_, State<M>>, message: M) {
    state.messages.push_back(message);
    let receiver = state.receiver.take();
    drop(state);
    panics::wake_all(receiver);
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
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(1)));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }

    /// A sender that waits, and how often it was woken.
    struct Waits<'a> {
        sending: Pin<Box<Sending<'a, u32>>>,
        count: Arc<Count>,
    }

    impl Waits<'_> {
        fn poll(&mut self) -> Poll<Result<(), SendError<u32>>> {
            let waker = Waker::from(Arc::clone(&self.count));
            self.sending.as_mut().poll(&mut Context::from_waker(&waker))
        }

        fn woken(&self) -> usize {
            self.count.0.load(Ordering::Relaxed)
        }
    }

    /// So many senders behind a full inbox, with the messages 0 and up.
    fn crowd(sender: &Sender<u32>, count: u32) -> Vec<Waits<'_>> {
        while sender.try_send(u32::MAX).is_ok() {}
        (0..count)
            .map(|n| {
                let mut waits = Waits { sending: Box::pin(sender.send(n)), count: Arc::default() };
                assert!(waits.poll().is_pending());
                waits
            })
            .collect()
    }

    fn woken(crowd: &[Waits<'_>]) -> Vec<usize> {
        crowd.iter().map(Waits::woken).collect()
    }

    /// Failure: each message that was taken woke all senders that waited.
    #[test]
    fn each_place_wakes_one_sender_and_the_first() {
        let (inbox, sender, _, waker) = inbox(4);
        let cx = &mut Context::from_waker(&waker);
        let mut crowd = crowd(&sender, 10);
        for _ in 0..3 {
            assert!(inbox.poll_take(cx).is_ready());
        }
        assert_eq!(woken(&crowd), [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
        // The places are theirs, in whatever order they are polled.
        assert_eq!(sender.try_send(99), Err(SendError::Full(99)));
        assert!(crowd[9].poll().is_pending());
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(u32::MAX)));
        for n in [2, 0, 3, 1] {
            assert_eq!(crowd[n].poll(), Poll::Ready(Ok(())));
        }
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(2)));
        assert_eq!(woken(&crowd), [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    }

    /// Failure: a sender that was woken and left took the place with it.
    #[test]
    fn sender_that_leaves_hands_its_place_on() {
        let (inbox, sender, _, waker) = inbox(1);
        let cx = &mut Context::from_waker(&waker);
        let mut crowd = crowd(&sender, 4);
        drop(crowd.remove(1));
        assert!(inbox.poll_take(cx).is_ready());
        drop(crowd.remove(0));
        assert_eq!(woken(&crowd), [1, 0]);
        drop(crowd.remove(0));
        assert_eq!(woken(&crowd), [1]);
        drop(crowd);
        // None waits: the place is free.
        assert_eq!(sender.try_send(7), Ok(()));
        assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(7)));
    }

    #[test]
    fn end_wakes_each_sender_once_and_voids_the_places() {
        let (inbox, sender, _, waker) = inbox(2);
        let mut crowd = crowd(&sender, 5);
        assert!(inbox.poll_take(&mut Context::from_waker(&waker)).is_ready());
        inbox.close();
        assert_eq!(woken(&crowd), [1; 5]);
        drop(crowd.remove(0));
        drop(crowd.remove(2));
        assert_eq!(crowd[0].poll(), Poll::Ready(Err(SendError::Closed(1))));
    }

    /// Failure: 8,000 senders took 1.2 s, as each message woke all that were left.
    #[test]
    fn crowd_of_senders_is_polled_twice_each() {
        const SENDERS: u32 = 8_000;
        let (inbox, sender, _, waker) = inbox(64);
        let cx = &mut Context::from_waker(&waker);
        let mut crowd = crowd(&sender, SENDERS);
        let (mut next, mut wakes) = (0, 0);
        while inbox.poll_take(cx).is_ready() {
            // All that were woken are in order, from the first that has not sent.
            while crowd.get(next).is_some_and(|waits| waits.woken() > 0) {
                wakes += crowd[next].woken();
                assert_eq!(crowd[next].poll(), Poll::Ready(Ok(())));
                next += 1;
            }
        }
        assert_eq!((next, wakes), (SENDERS as usize, SENDERS as usize));
    }

    /// Failure: wakers that were displaced or left behind were dropped under the lock of the inbox.
    #[test]
    fn wakers_are_dropped_without_the_lock() {
        struct Asks(Sender<u32>, Arc<Count>);
        impl Wake for Asks {
            fn wake(self: Arc<Self>) {}
        }
        impl Drop for Asks {
            fn drop(&mut self) {
                let locked = self.0.0.state.is_locked();
                assert!(!locked, "dropped under the lock");
                self.1.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (inbox, sender, dropped, _) = inbox(1);
        let asks = || Waker::from(Arc::new(Asks(sender.clone(), Arc::clone(&dropped))));
        let poll = |sending: &mut Pin<Box<Sending<'_, u32>>>| {
            sending.as_mut().poll(&mut Context::from_waker(&asks())).is_pending()
        };
        assert!(inbox.poll_take(&mut Context::from_waker(&asks())).is_pending());
        assert!(inbox.poll_abort(&mut Context::from_waker(&asks())).is_pending());
        sender.try_send(1).unwrap();
        let (mut first, mut second) = (Box::pin(sender.send(2)), Box::pin(sender.send(3)));
        // Each displaces the waker of the poll before.
        assert!(poll(&mut first) && poll(&mut first) && poll(&mut second));
        drop(second);
        inbox.close();
        drop(first);
        assert_eq!(dropped.0.load(Ordering::Relaxed), 5);
    }
}
