//! No edge is lost and none is invented: the life of one source, one event after the other.

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use common::{Wakes, drive, fill, look, peek, pump, queue, swallow, unix};
use heist_reactor::{Direction, Interest, Kind};

/// Failure 2: a stale clear erases a newer edge.
#[test]
fn clear_does_not_erase_edges_that_came_after_it() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    for edges in [1, 255, 256, 257, 1 << 12] {
        near.write_all(b"x").unwrap();
        pump(&queue);
        let drain = far.try_drain(Direction::Read).unwrap();
        assert_eq!(swallow(far.io()), 1);
        for edge in 1..=edges {
            near.write_all(b"y").unwrap();
            pump(&queue);
            // Only the last byte stays; the socket has no room for all of them.
            assert!(edge == edges || swallow(far.io()) == 1);
        }
        drain.drained();
        assert!(peek(|cx| far.poll_ready(Direction::Read, cx)).is_ready(), "{edges} edges lost");
        assert_eq!(swallow(far.io()), 1);
        far.try_drain(Direction::Read).unwrap().drained();
    }
}

/// Failure 3: reading and writing share their state, and each wakes the other without end.
#[test]
fn write_events_do_not_make_a_reader_spin() {
    let queue = queue();
    let (near, far) = unix(&queue, Interest::ReadWrite);
    let (reads, reader) = Wakes::new();
    let mut tried = 0;
    let mut edges = 0;
    for _ in 0..50 {
        let read = far.poll_io(Direction::Read, &mut Context::from_waker(&reader), |mut io| {
            tried += 1;
            io.read(&mut [0; 8])
        });
        assert!(read.is_pending());
        edges += look(&queue).events;
        fill(&far);
        swallow(&near);
    }
    assert!(edges >= 50, "the test made only {edges} write events");
    assert_eq!((reads.count(), tried), (0, 0));
}

/// Failure 4: one event disarms both directions.
#[test]
fn waiting_writer_survives_a_read_event() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    fill(&far);
    let (reads, reader) = Wakes::new();
    let (writes, writer) = Wakes::new();
    assert!(far.poll_drain(Direction::Read, &mut Context::from_waker(&reader)).is_pending());
    assert!(far.poll_drain(Direction::Write, &mut Context::from_waker(&writer)).is_pending());

    near.write_all(b"x").unwrap();
    pump(&queue);
    assert_eq!((reads.count(), writes.count()), (1, 0));
    far.try_drain(Direction::Read).unwrap().drained();

    swallow(&near);
    pump(&queue);
    assert_eq!((reads.count(), writes.count()), (1, 1));
    assert!(far.try_drain(Direction::Write).is_some());
}

/// Failure 5: a byte arrives between the last read and the re-arming.
#[test]
fn byte_between_drain_and_rearm_is_found_by_the_next_poll() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    near.write_all(b"x").unwrap();
    pump(&queue);
    let drain = far.try_drain(Direction::Read).unwrap();
    assert_eq!(swallow(far.io()), 1);
    near.write_all(b"y").unwrap();
    pump(&queue);
    drain.drained();
    assert!(far.try_drain(Direction::Read).is_some());
}

/// Failure 5, when the event is harvested only after the re-arming.
#[test]
fn byte_between_drain_and_rearm_wakes_a_task_that_waits_by_then() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    near.write_all(b"x").unwrap();
    pump(&queue);
    let drain = far.try_drain(Direction::Read).unwrap();
    assert_eq!(swallow(far.io()), 1);
    near.write_all(b"y").unwrap();
    drain.drained();
    let (wakes, waker) = Wakes::new();
    assert!(far.poll_drain(Direction::Read, &mut Context::from_waker(&waker)).is_pending());
    pump(&queue);
    assert_eq!(wakes.count(), 1);
    assert!(far.try_drain(Direction::Read).is_some());
}

/// Failure 2, for an operation that leaves the direction as it is: it would block, and room comes before the
/// caller knows.
#[test]
fn room_that_comes_behind_a_try_is_found_by_the_poll_that_follows() {
    let queue = queue();
    let (near, far) = unix(&queue, Interest::ReadWrite);
    pump(&queue);
    let write = |mut io: &std::os::unix::net::UnixStream| io.write(b"x");
    while let Some(written) = far.try_io(Direction::Write, |mut io| io.write(&[7; 4096])) {
        assert!(written.is_ok(), "{written:?}");
    }
    let mut full = None;
    let tried = far.try_io(Direction::Write, |io| {
        let written = write(io);
        full = written.as_ref().err().map(io::Error::kind);
        swallow(&near);
        pump(&queue);
        written
    });
    assert!(tried.is_none());
    assert_eq!(full, Some(ErrorKind::WouldBlock));
    let written = peek(|cx| far.poll_io(Direction::Write, cx, write));
    assert!(matches!(written, Poll::Ready(Ok(1))), "{written:?}");

    // Where the direction is not ready, nothing is tried.
    fill(&far);
    assert!(peek(|cx| far.poll_io(Direction::Write, cx, write)).is_pending());
    assert!(far.try_io(Direction::Write, |_| -> io::Result<()> { panic!("tried") }).is_none());
    drop(queue.close());
    assert!(far.try_io(Direction::Write, |_| -> io::Result<()> { panic!("tried") }).is_none());
}

#[test]
fn bytes_that_were_there_before_registration_are_reported() {
    let queue = queue();
    let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    near.write_all(b"early").unwrap();
    let far = queue.register(0, far, Interest::Read, Kind::Other).unwrap();
    let mut buffer = [0; 8];
    let read = drive(&queue, |cx| far.poll_io(Direction::Read, cx, |mut io| io.read(&mut buffer)));
    assert_eq!(read.unwrap(), 5);
}

#[test]
fn early_end_of_a_drain_leaves_the_direction_ready() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    near.write_all(b"xy").unwrap();
    pump(&queue);
    let mut byte = [0];
    for _ in 0..2 {
        let read = peek(|cx| far.poll_io(Direction::Read, cx, |mut io| io.read(&mut byte)));
        assert!(matches!(read, Poll::Ready(Ok(1))), "{read:?}");
    }
    let read = peek(|cx| far.poll_io(Direction::Read, cx, |mut io| io.read(&mut byte)));
    assert!(read.is_pending());
    assert!(far.try_drain(Direction::Read).is_none(), "WouldBlock did not clear it");
}

#[test]
fn panic_in_an_operation_leaves_the_direction_ready() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    near.write_all(b"x").unwrap();
    pump(&queue);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        peek(|cx| far.poll_io(Direction::Read, cx, |_| -> io::Result<()> { panic!("on purpose") }))
    }));
    assert!(panicked.is_err());
    assert!(far.try_drain(Direction::Read).is_some());
}

#[test]
fn early_end_of_a_drain_wakes_a_task_that_began_to_wait_meanwhile() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    near.write_all(b"xy").unwrap();
    pump(&queue);
    let drain = far.try_drain(Direction::Read).unwrap();
    let (wakes, waker) = Wakes::new();
    assert!(far.poll_drain(Direction::Read, &mut Context::from_waker(&waker)).is_pending());
    drop(drain);
    assert_eq!(wakes.count(), 1, "bytes are there, and the other task was not woken");
    drop(far.try_drain(Direction::Read).unwrap());
    assert_eq!(wakes.count(), 1);
}

#[test]
fn replaced_waker_is_woken_and_the_same_one_is_not() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    let (firsts, first) = Wakes::new();
    let (seconds, second) = Wakes::new();
    for _ in 0..3 {
        let cx = &mut Context::from_waker(&first);
        assert!(far.poll_drain_exclusive(Direction::Read, cx).is_pending());
    }
    assert_eq!(firsts.count(), 0);
    let cx = &mut Context::from_waker(&second);
    assert!(far.poll_drain_exclusive(Direction::Read, cx).is_pending());
    assert_eq!((firsts.count(), seconds.count()), (1, 0));
    near.write_all(b"x").unwrap();
    pump(&queue);
    assert_eq!((firsts.count(), seconds.count()), (1, 1));
}

#[test]
fn poll_ready_clears_nothing() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    let (wakes, waker) = Wakes::new();
    assert!(far.poll_ready(Direction::Read, &mut Context::from_waker(&waker)).is_pending());
    near.write_all(b"x").unwrap();
    pump(&queue);
    assert_eq!(wakes.count(), 1);
    for _ in 0..3 {
        assert!(peek(|cx| far.poll_ready(Direction::Read, cx)).is_ready());
    }
}

#[test]
fn try_drain_stores_no_waker() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    assert!(far.try_drain(Direction::Read).is_none());
    near.write_all(b"x").unwrap();
    let mut wakers = Vec::new();
    assert_eq!(queue.wait(0, 64, None, &mut wakers).unwrap().events, 1);
    assert!(wakers.is_empty());
}

#[test]
fn event_without_news_is_counted_as_spurious() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    near.write_all(b"x").unwrap();
    assert_eq!(pump(&queue).spurious, 0);
    near.write_all(b"y").unwrap();
    let harvest = pump(&queue);
    assert_eq!((harvest.events, harvest.spurious, harvest.stale), (1, 1, 0));
    drop(far);
}

#[test]
fn interrupted_operation_is_tried_again() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    near.write_all(b"x").unwrap();
    pump(&queue);
    let mut tries = 0;
    let read = peek(|cx| {
        far.poll_io(Direction::Read, cx, |mut io| {
            tries += 1;
            if tries < 10 { Err(ErrorKind::Interrupted.into()) } else { io.read(&mut [0; 4]) }
        })
    });
    assert!(matches!(read, Poll::Ready(Ok(1))));
}

#[test]
fn first_write_is_tried_without_an_event_and_a_blocked_one_is_woken() {
    let queue = queue();
    let (near, far) = unix(&queue, Interest::Read);
    assert_eq!(look(&queue).events, 0, "an event came for a direction that was not asked for");
    let written = fill(&far);
    assert!(written > 0);
    let (wakes, waker) = Wakes::new();
    assert!(far.poll_drain(Direction::Write, &mut Context::from_waker(&waker)).is_pending());
    assert_eq!(look(&queue).events, 0);
    assert_eq!(swallow(&near), written);
    pump(&queue);
    assert_eq!(wakes.count(), 1);
    assert!(fill(&far) > 0);
}

#[test]
fn reader_of_a_source_registered_for_writing_is_woken() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Write);
    let mut buffer = [0; 4];
    let read = peek(|cx| far.poll_io(Direction::Read, cx, |mut io| io.read(&mut buffer)));
    assert!(read.is_pending());
    near.write_all(b"abc").unwrap();
    let read = drive(&queue, |cx| far.poll_io(Direction::Read, cx, |mut io| io.read(&mut buffer)));
    assert_eq!(read.unwrap(), 3);
}

#[test]
fn connecting_socket_is_not_writable_before_the_queue_says_so() {
    let queue = queue();
    let (_near, far) = unix(&queue, Interest::ReadWrite);
    assert!(far.try_drain(Direction::Write).is_none());
    drive(&queue, |cx| far.poll_ready(Direction::Write, cx)).unwrap();
}
