//! Shared by the tests of the queue: sources that need no network, wakers that count, and a pump.
#![allow(dead_code)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use heist_reactor::{Config, Direction, Harvest, Interest, Kind, Queue, Source};

/// No test waits this long unless it hangs.
pub(crate) const HANG: Duration = Duration::from_secs(60);

pub(crate) fn queue() -> Queue {
    Queue::new(Config::default()).unwrap()
}

/// Two connected ends: the test plays the peer with the first, the second is registered.
pub(crate) fn unix(queue: &Queue, interest: Interest) -> (UnixStream, Source<UnixStream>) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (near, queue.register(0, far, interest, Kind::Other).unwrap())
}

/// Two connected sockets; neither is registered, the second does not block.
pub(crate) fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    far.set_nonblocking(true).unwrap();
    (near, far)
}

/// A waker that counts.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits for at least one event and wakes the tasks that waited for it.
pub(crate) fn pump(queue: &Queue) -> Harvest {
    let mut wakers = Vec::new();
    let harvest = queue.wait(0, 64, Some(HANG), &mut wakers).unwrap();
    assert_ne!(harvest, Harvest::default(), "nothing came");
    wakers.into_iter().for_each(Waker::wake);
    harvest
}

/// Takes the events that are there now and wakes the tasks that waited for them.
pub(crate) fn look(queue: &Queue) -> Harvest {
    let mut wakers = Vec::new();
    let harvest = queue.poll(0, 64, &mut wakers).unwrap();
    wakers.into_iter().for_each(Waker::wake);
    harvest
}

/// Polls until ready, and pumps the queue in between.
pub(crate) fn drive<R>(queue: &Queue, mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    loop {
        let (wakes, waker) = Wakes::new();
        match poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => {
                while wakes.count() == 0 {
                    pump(queue);
                }
            }
        }
    }
}

/// Polls until ready while another thread pumps the queue.
pub(crate) fn block_on<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    struct Unpark(Thread, AtomicUsize);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.unpark();
        }
    }
    let unpark = Arc::new(Unpark(thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&unpark));
    loop {
        if let Poll::Ready(done) = poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        while unpark.1.swap(0, Ordering::SeqCst) == 0 {
            let begin = std::time::Instant::now();
            thread::park_timeout(HANG);
            assert!(begin.elapsed() < HANG, "the task was not woken");
        }
    }
}

/// One poll without a task.
pub(crate) fn peek<R>(poll: impl FnOnce(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
    poll(&mut Context::from_waker(Waker::noop()))
}

/// Reads as a connection does: until `WouldBlock`, the end, or a short read that may be trusted.
/// Returns whether it reached the end.
pub(crate) fn drain_into<S: AsFd>(
    source: &Source<S>,
    drain: heist_reactor::Drain<'_>,
    room: usize,
    received: &mut Vec<u8>,
) -> io::Result<bool>
where
    for<'a> &'a S: Read,
{
    let mut buffer = vec![0; room];
    loop {
        match source.io().read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(n) => {
                received.extend_from_slice(&buffer[..n]);
                if n < room && drain.short_read_drains() {
                    drain.drained();
                    return Ok(false);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drain.drained();
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Writes until `WouldBlock`; returns the number of bytes written.
pub(crate) fn fill<S: AsFd>(source: &Source<S>) -> usize
where
    for<'a> &'a S: Write,
{
    let mut written = 0;
    while let Some(drain) = source.try_drain(Direction::Write) {
        loop {
            match source.io().write(&[7; 4096]) {
                Ok(n) => written += n,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    drain.drained();
                    break;
                }
            }
        }
    }
    written
}

/// Reads until `WouldBlock` or the end; returns the number of bytes read.
pub(crate) fn swallow(mut near: impl Read) -> usize {
    let mut buffer = [0; 4096];
    let mut read = 0;
    loop {
        match near.read(&mut buffer) {
            Ok(0) => return read,
            Ok(n) => read += n,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return read;
            }
        }
    }
}
