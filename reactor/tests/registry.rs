//! Registrations come and go: no event of one reaches the next, and a refused one leaves no trace.

mod common;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use common::{Wakes, fill, look, peek, pump, queue, swallow, unix};
use heist_reactor::{Config, Direction, Interest, Kind, Queue, RegisterError, Source};

/// Failure 8: a duplicate keeps the kernel's registration alive.
#[test]
fn duplicate_of_a_dropped_source_brings_no_events() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    let duplicate = far.io().try_clone().unwrap();
    drop(far);
    near.write_all(b"x").unwrap();
    assert_eq!(look(&queue).events, 0);
    assert_eq!(swallow(&duplicate), 1);
}

/// Failure 9: the system refuses after the slot was taken.
#[test]
fn refused_registration_gives_its_slot_back() {
    let queue = Queue::new(Config { max_sources: 1, ..Config::default() }).unwrap();
    let ordinary = File::open(std::env::current_exe().unwrap()).unwrap();
    for _ in 0..3 {
        let error = queue.register(0, &ordinary, Interest::Read, Kind::Other).unwrap_err();
        let RegisterError::Os(os) = error else { panic!("{error:?}") };
        assert_eq!(os.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(queue.sources(), 0);
    }
}

/// Failure 9, with a source that is registered already.
#[test]
fn second_registration_of_a_source_leaves_the_first_alone() {
    let queue = queue();
    let (mut near, far) = UnixStream::pair().unwrap();
    let first = queue.register(0, &far, Interest::Read, Kind::Other).unwrap();
    let error = queue.register(0, &far, Interest::Read, Kind::Other).unwrap_err();
    let RegisterError::Os(os) = error else { panic!("{error:?}") };
    assert_eq!(os.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(queue.sources(), 1);
    near.write_all(b"x").unwrap();
    assert_eq!(pump(&queue).events, 1);
    assert!(first.try_drain(Direction::Read).is_some());
}

/// A source that no task has waited for is unknown to the kernel: no event, no deregistration.
#[test]
fn kernel_learns_of_a_source_when_a_task_has_to_wait() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::None);
    near.write_all(b"x").unwrap();
    assert_eq!(look(&queue).events, 0);
    let read = |cx: &mut Context<'_>| {
        far.poll_io(Direction::Read, cx, |mut io| io.read(&mut [0; 4])).map(Result::unwrap)
    };
    assert_eq!(peek(read), Poll::Ready(1));

    let (wakes, waker) = Wakes::new();
    assert!(read(&mut Context::from_waker(&waker)).is_pending());
    near.write_all(b"yz").unwrap();
    assert_eq!((pump(&queue).events, wakes.count()), (1, 1));
    assert_eq!(peek(read), Poll::Ready(2));

    // The second direction; the first one stays armed.
    fill(&far);
    let write = |cx: &mut Context<'_>| far.poll_ready(Direction::Write, cx).map(Result::unwrap);
    assert!(peek(write).is_pending());
    near.write_all(b"x").unwrap();
    swallow(&near);
    pump(&queue);
    assert!(far.try_drain(Direction::Read).is_some() && peek(write).is_ready());
}

#[test]
fn source_that_waits_to_write_first_is_woken_for_input_too() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::None);
    fill(&far);
    assert!(peek(|cx| far.poll_ready(Direction::Write, cx)).is_pending());
    let read = || peek(|cx| far.poll_io(Direction::Read, cx, |mut io| io.read(&mut [0; 4])));
    assert!(read().is_pending());
    near.write_all(b"x").unwrap();
    pump(&queue);
    assert!(matches!(read(), Poll::Ready(Ok(1))));
}

/// The kernel refuses at each request.
#[test]
fn source_that_cannot_be_watched_fails_when_it_has_to_wait() {
    let queue = queue();
    let ordinary = File::open(std::env::current_exe().unwrap()).unwrap();
    let source = queue.register(0, &ordinary, Interest::None, Kind::Other).unwrap();
    for _ in 0..2 {
        source.try_drain(Direction::Read).into_iter().for_each(heist_reactor::Drain::drained);
        let Poll::Ready(Err(error)) = peek(|cx| source.poll_ready(Direction::Read, cx)) else {
            panic!("an ordinary file is watched");
        };
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}

#[test]
fn full_queue_refuses_with_its_limit() {
    let queue = Queue::new(Config { max_sources: 2, ..Config::default() }).unwrap();
    let first = unix(&queue, Interest::Read);
    let _second = unix(&queue, Interest::Read);
    let (far, _near) = UnixStream::pair().unwrap();
    let refused = queue.register(0, &far, Interest::Read, Kind::Other).unwrap_err();
    assert!(matches!(refused, RegisterError::Full { max: 2 }), "{refused:?}");
    assert!(io::Error::from(refused).to_string().contains("all 2 slots"));
    drop(first);
    assert!(queue.register(0, &far, Interest::Read, Kind::Other).is_ok());
}

/// Dropping a waker may drop a task, and with it a source; so no lock may be held then.
#[test]
fn waker_that_owns_another_source_is_dropped_outside_locks() {
    struct Owner(Mutex<Option<Source<UnixStream>>>);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().take();
        }
    }
    let queue = queue();
    let (_near, first) = unix(&queue, Interest::Read);
    let (_near, second) = unix(&queue, Interest::Read);
    let waker = Waker::from(Arc::new(Owner(Mutex::new(Some(second)))));
    assert!(first.poll_drain(Direction::Read, &mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!(queue.sources(), 2);
    drop(first);
    assert_eq!(queue.sources(), 0);
}

/// The kernel refuses to add a direction: the task gets the error, and the next poll asks again.
#[test]
fn refused_arming_is_reported_and_tried_again() {
    /// Returns another descriptor than the registered one while `lie` is set.
    struct TwoFaced<'a> {
        real: &'a UnixStream,
        other: &'a UnixStream,
        lie: &'a Cell<bool>,
    }
    impl AsFd for TwoFaced<'_> {
        fn as_fd(&self) -> BorrowedFd<'_> {
            if self.lie.get() { self.other.as_fd() } else { self.real.as_fd() }
        }
    }
    impl Write for &TwoFaced<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            (&mut &*self.real).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let queue = queue();
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let lie = Cell::new(false);
    let source = TwoFaced { real: &far, other: &near, lie: &lie };
    let source = queue.register(0, source, Interest::Read, Kind::Other).unwrap();
    fill(&source);

    lie.set(true);
    for _ in 0..2 {
        let refused = peek(|cx| source.poll_ready(Direction::Write, cx));
        let Poll::Ready(Err(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
    lie.set(false);
    let (wakes, waker) = Wakes::new();
    assert!(source.poll_ready(Direction::Write, &mut Context::from_waker(&waker)).is_pending());
    swallow(&near);
    pump(&queue);
    assert_eq!(wakes.count(), 1);
}

#[test]
fn sources_of_two_shards_do_not_mix() {
    let queue = Queue::new(Config { shards: 2, ..Config::default() }).unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    let far = queue.register(1, far, Interest::Read, Kind::Other).unwrap();
    near.write_all(b"x").unwrap();
    let mut wakers = Vec::new();
    assert_eq!(queue.poll(0, 64, &mut wakers).unwrap().events, 0);
    assert!(!queue.ready(0) && queue.ready(1));
    assert_eq!(queue.poll(1, 64, &mut wakers).unwrap().events, 1);
    assert_eq!(far.io().read(&mut [0; 4]).unwrap(), 1);
}

#[test]
#[should_panic(expected = "there is no shard 1, only 1")]
fn shard_that_does_not_exist_is_named() {
    let _ = queue().ready(1);
}
