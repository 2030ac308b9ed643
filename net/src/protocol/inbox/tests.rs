//! Senders and a connection, by hand-made polls.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

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
    sending: Pin<Box<SendFuture<'a, u32>>>,
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
fn each_slot_wakes_one_sender_and_the_first() {
    let (inbox, sender, _, waker) = inbox(4);
    let cx = &mut Context::from_waker(&waker);
    let mut crowd = crowd(&sender, 10);
    for _ in 0..3 {
        assert!(inbox.poll_take(cx).is_ready());
    }
    assert_eq!(woken(&crowd), [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
    // The slots are theirs, in whatever order they are polled.
    assert_eq!(sender.try_send(99), Err(SendError::Full(99)));
    assert!(crowd[9].poll().is_pending());
    assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(u32::MAX)));
    for n in [2, 0, 3, 1] {
        assert_eq!(crowd[n].poll(), Poll::Ready(Ok(())));
    }
    assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(2)));
    assert_eq!(woken(&crowd), [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
}

/// Failure: a sender that was woken and left took the slot with it.
#[test]
fn sender_that_leaves_hands_its_slot_on() {
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
    // None waits: the slot is free.
    assert_eq!(sender.try_send(7), Ok(()));
    assert_eq!(inbox.poll_take(cx), Poll::Ready(Taken::Message(7)));
}

#[test]
fn end_wakes_each_sender_once_and_voids_the_slots() {
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
            let locked = self.0.is_locked();
            assert!(!locked, "dropped under the lock");
            self.1.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (inbox, sender, dropped, _) = inbox(1);
    let asks = || Waker::from(Arc::new(Asks(sender.clone(), Arc::clone(&dropped))));
    let poll = |sending: &mut Pin<Box<SendFuture<'_, u32>>>| {
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
