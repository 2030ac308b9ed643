//! Closing ends every wait: of threads, of tasks, and of tasks that come too late.

mod common;

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;

use common::{HANG, Wakes, block_on, look, peek, queue, unix};
use heist_reactor::{Closed, Direction, Interest, Kind, Queue, RegisterError};

fn is_closed(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Closed>())
}

/// Failure 1: a registration races the shutdown and waits for ever.
#[test]
fn registration_that_races_the_close_ends() {
    let (closer, queues) = mpsc::sync_channel::<Queue>(0);
    let closing = thread::spawn(move || {
        while let Ok(queue) = queues.recv() {
            queue.close().into_iter().for_each(Waker::wake);
        }
    });
    let mut registered = 0;
    for round in 0..if cfg!(debug_assertions) { 2_000 } else { 100_000 } {
        let queue = queue();
        let (_near, far) = UnixStream::pair().unwrap();
        closer.send(queue.clone()).unwrap();
        // Each round meets the race at another point.
        (0..round % 64).for_each(|_| std::hint::spin_loop());
        match queue.register(0, far, Interest::Read, Kind::Other) {
            Err(error) => assert!(matches!(error, RegisterError::Closed), "{error:?}"),
            Ok(source) => {
                registered += 1;
                let ended = block_on(|cx| source.poll_ready(Direction::Read, cx));
                assert!(is_closed(&ended.unwrap_err()));
                drop(source);
            }
        }
        assert_eq!(queue.sources(), 0);
    }
    assert!(registered > 0, "the race was lost every time");
    drop(closer);
    closing.join().unwrap();
}

#[test]
fn close_returns_the_wakers_of_both_directions_once() {
    let queue = queue();
    let (_near, far) = unix(&queue, Interest::ReadWrite);
    let (wakes, waker) = Wakes::new();
    for direction in [Direction::Read, Direction::Write] {
        assert!(far.poll_drain(direction, &mut Context::from_waker(&waker)).is_pending());
    }
    assert!(!queue.is_closed());
    let wakers = queue.close();
    assert!(queue.is_closed());
    assert_eq!((wakers.len(), wakes.count()), (2, 0));
    assert!(queue.close().is_empty());
}

#[test]
fn operations_fail_with_a_typed_error_after_the_close() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    near.write_all(b"x").unwrap();
    look(&queue);
    let _ = queue.close();
    for direction in [Direction::Read, Direction::Write] {
        let Poll::Ready(Err(error)) = peek(|cx| far.poll_drain(direction, cx)) else {
            panic!("the task got no error");
        };
        assert!(is_closed(&error) && error.kind() == io::ErrorKind::Other, "{error:?}");
        let ready = peek(|cx| far.poll_ready(direction, cx));
        assert!(matches!(ready, Poll::Ready(Err(error)) if is_closed(&error)));
        assert!(far.try_drain(direction).is_none());
    }
    let tried = peek(|cx| far.poll_io(Direction::Read, cx, |_| -> io::Result<()> { panic!() }));
    assert!(matches!(tried, Poll::Ready(Err(error)) if is_closed(&error)));
    drop(far);
    assert_eq!(queue.sources(), 0);
}

#[test]
fn events_in_the_batch_of_the_close_are_delivered() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    near.write_all(b"x").unwrap();
    let _ = queue.close();
    let mut events = 0;
    for _ in 0..4 {
        // With a bound of 1 the close must not stay in front of the event for ever.
        let harvest = queue.wait(0, 1, None, &mut Vec::new()).unwrap();
        assert!(harvest.closed || harvest.events > 0);
        events += harvest.events;
    }
    assert_eq!(events, 1);
    drop(far);
}

#[test]
fn source_that_is_dropped_while_the_queue_closes_frees_its_slot() {
    for _ in 0..if cfg!(debug_assertions) { 500 } else { 20_000 } {
        let queue = queue();
        let (_near, far) = unix(&queue, Interest::Read);
        assert!(peek(|cx| far.poll_drain(Direction::Read, cx)).is_pending());
        let closing = thread::spawn({
            let queue = queue.clone();
            move || queue.close().len()
        });
        drop(far);
        assert!(closing.join().unwrap() <= 1);
        assert_eq!(queue.sources(), 0);
    }
}

#[test]
fn task_that_waits_while_a_thread_waits_is_ended() {
    let queue = queue();
    let waiting = thread::spawn({
        let queue = queue.clone();
        move || while !queue.wait(0, 64, Some(HANG), &mut Vec::new()).unwrap().closed {}
    });
    let (_near, far) = unix(&queue, Interest::Read);
    let (sender, ended) = mpsc::channel();
    let task = thread::spawn(move || {
        sender.send(()).unwrap();
        block_on(|cx| far.poll_ready(Direction::Read, cx)).unwrap_err()
    });
    ended.recv().unwrap();
    queue.close().into_iter().for_each(Waker::wake);
    assert!(is_closed(&task.join().unwrap()));
    waiting.join().unwrap();
}
