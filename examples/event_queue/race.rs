//! Threads fill the queue while it is being closed. Each registration must be refused, or its owner
//! be told of the close: none may wait for ever.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use heist::reactor::{Config, Direction, Interest, Kind, Queue, RegisterError, Source};

use crate::join;
use crate::task::{self, Job};

/// What became of all registrations.
pub(crate) struct Race {
    pub(crate) told: usize,
    pub(crate) refused: usize,
}

/// One race of `threads` threads against the close.
pub(crate) fn run(threads: u16) -> io::Result<Race> {
    let queue = Queue::new(Config::default())?;
    let told = Arc::new(AtomicUsize::new(0));
    let threads = usize::from(threads);
    let gate = Barrier::new(threads + 1);
    let user = || {
        let sockets = silent_sockets();
        // Also after an error: the others wait for this thread.
        gate.wait();
        register_all(sockets?, &queue, &told)
    };
    let registered = thread::scope(|scope| {
        let users: Vec<_> = (0..threads).map(|_| scope.spawn(user)).collect();
        gate.wait();
        queue.close().into_iter().for_each(Waker::wake);
        users.into_iter().map(join).sum::<io::Result<usize>>()
    })?;
    let told = told.load(Ordering::Relaxed);
    // A source left in the table would be one that waits for ever.
    if told != registered || queue.sources() != 0 {
        let left = queue.sources();
        let lost = format!("of {registered} sources {told} were told, and {left} are left");
        return Err(io::Error::other(lost));
    }
    Ok(Race { told, refused: threads * EACH - registered })
}

/// Sockets that never have anything to read, as no address leads to them.
///
/// Each is a socket of its own, and none is a clone. `try_clone` (`dup`) makes a second descriptor of
/// the same open file description, and a registration with epoll lives as long as that does. Closing
/// the registered descriptor while a clone is open leaves the registration in the kernel, where
/// nothing can remove it any more. Its events still come, with a token that may by then name another
/// source. Owners that share a socket share one descriptor, in an `Arc`.
fn silent_sockets() -> io::Result<Vec<UnixDatagram>> {
    (0..EACH)
        .map(|_| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
        .collect()
}

/// Registers them, and returns how many the queue took.
fn register_all(
    sockets: Vec<UnixDatagram>,
    queue: &Queue,
    told: &Arc<AtomicUsize>,
) -> io::Result<usize> {
    let mut registered = 0;
    for socket in sockets {
        match queue.register(0, socket, Interest::Read, Kind::Other) {
            Ok(source) => {
                registered += 1;
                task::start(Waiting { source, told: Arc::clone(told) });
            }
            Err(RegisterError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(registered)
}

/// A source that waits for the queue to be closed, at the latest.
struct Waiting {
    source: Source<UnixDatagram>,
    told: Arc<AtomicUsize>,
}

impl Job for Waiting {
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let end = ready!(self.source.poll_ready(Direction::Read, cx));
        self.told.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(end)
    }
}

/// How many sources each thread registers in a race.
const EACH: usize = 50;
