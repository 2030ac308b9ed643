//! A persistent waker: a task that keeps its source stores its waker once.

mod common;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll};

use common::{Wakes, pump, queue, swallow, unix};
use heist_reactor::{Direction, Interest, Source};

/// Reads all bytes that are there, as a woken task does.
fn drain(source: &Source<UnixStream>) -> usize {
    let drain = source.try_drain(Direction::Read).expect("an event came");
    let read = swallow(source.io());
    drain.drained();
    read
}

#[test]
fn waker_is_called_for_each_event_and_is_stored_once() {
    let queue = queue();
    let (mut near, mut far) = unix(&queue, Interest::Read);
    let (wakes, waker) = Wakes::new();
    let cx = &mut Context::from_waker(&waker);
    for event in 1..=3 {
        assert!(far.poll_ready_persistent(Direction::Read, cx).is_pending());
        // The test's reference, the task's, and the persistent waker's.
        assert_eq!(Arc::strong_count(&wakes), 3);
        near.write_all(b"x").unwrap();
        pump(&queue);
        assert_eq!((wakes.count(), drain(&far)), (event, 1));
    }
    drop(far);
    assert_eq!(Arc::strong_count(&wakes), 2, "a dropped source still has a waker");
}

#[test]
fn event_before_the_wait_is_found_and_wakes_no_task_later() {
    let queue = queue();
    let (mut near, mut far) = unix(&queue, Interest::Read);
    let (wakes, waker) = Wakes::new();
    let cx = &mut Context::from_waker(&waker);
    assert!(far.poll_ready_persistent(Direction::Read, cx).is_pending());
    for byte in 1..=2 {
        near.write_all(b"x").unwrap();
        pump(&queue);
        assert!(matches!(far.poll_ready_persistent(Direction::Read, cx), Poll::Ready(Ok(()))));
        assert_eq!((wakes.count(), drain(&far)), (1, 1), "byte {byte}");
    }
}

#[test]
fn other_task_that_waits_displaces_the_waker_and_is_woken() {
    let queue = queue();
    let (mut near, mut far) = unix(&queue, Interest::Read);
    let (first, one) = Wakes::new();
    let (second, other) = Wakes::new();
    assert!(
        far.poll_ready_persistent(Direction::Read, &mut Context::from_waker(&one)).is_pending()
    );
    assert!(far.poll_drain(Direction::Read, &mut Context::from_waker(&other)).is_pending());
    assert_eq!((first.count(), second.count()), (1, 0));

    near.write_all(b"x").unwrap();
    pump(&queue);
    assert_eq!((first.count(), second.count()), (1, 1));
    assert_eq!(Arc::strong_count(&second), 2, "a waker that is not persistent stayed");
    assert_eq!(drain(&far), 1);

    // The first task finds that its waker is not stored any more.
    assert!(
        far.poll_ready_persistent(Direction::Read, &mut Context::from_waker(&one)).is_pending()
    );
    near.write_all(b"x").unwrap();
    pump(&queue);
    assert_eq!((first.count(), second.count()), (2, 1));
}

#[test]
fn close_returns_the_persistent_waker() {
    let queue = queue();
    let (_near, mut far) = unix(&queue, Interest::Read);
    let (wakes, waker) = Wakes::new();
    let cx = &mut Context::from_waker(&waker);
    assert!(far.poll_ready_persistent(Direction::Read, cx).is_pending());
    queue.close().into_iter().for_each(std::task::Waker::wake);
    assert_eq!(wakes.count(), 1);
    assert!(matches!(far.poll_ready_persistent(Direction::Read, cx), Poll::Ready(Err(_))));
}
