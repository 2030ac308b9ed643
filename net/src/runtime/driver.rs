//! The only joint between the scheduler and the event queue.
//!
//! The scheduler waits through its [`Park`] and knows no sockets; the queue returns wakers and
//! knows no tasks. [`Driver`] is the one type that knows both, and only passes calls on.

use std::any::Any;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use heist_reactor::{Interest, Kind, Queue};
use heist_scheduler::{Handle, Harvest, Park};

use crate::runtime::source::Source;

/// A runtime's event queue, as the [`Park`] of its scheduler.
///
/// [`Builder`](crate::Builder) makes one for each runtime. A socket finds it through the handle of
/// the runtime whose task (or [`enter`](Handle::enter) guard) creates the socket.
pub struct Driver {
    queue: Queue,
    /// The number of registrations, which spreads them over the shards. Any thread adds to it; it
    /// is never reset. Relaxed: it publishes nothing, and each `fetch_add` returns another number,
    /// in whatever order, so each shard gets a source in turn.
    registrations: AtomicUsize,
}

impl Driver {
    /// Makes `queue` usable by a scheduler and by this crate's sockets.
    pub fn new(queue: Queue) -> Driver {
        Driver { queue, registrations: AtomicUsize::new(0) }
    }

    /// The driver of the runtime that `handle` belongs to; `None` if that runtime was built without
    /// this crate's [`Builder`](crate::Builder).
    pub fn of(handle: &Handle) -> Option<&Driver> {
        let park: &dyn Any = &**handle.park();
        park.downcast_ref()
    }

    /// The event queue, to read its size or to register other sources.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Registers `io` on the next shard in turn. It must be in non-blocking mode.
    ///
    /// # Errors
    ///
    /// The queue's: it is closed or full, or the kernel refuses the descriptor.
    pub fn register<S: AsFd>(
        &self,
        io: S,
        interest: Interest,
        kind: Kind,
    ) -> io::Result<Source<S>> {
        self.attach(io, interest, kind).map(Source::new)
    }

    /// As [`register`](Driver::register), for this crate's sockets, which follow the rules of
    /// [`operation`](crate::runtime::operation) themselves.
    pub(crate) fn attach<S: AsFd>(
        &self,
        io: S,
        interest: Interest,
        kind: Kind,
    ) -> io::Result<heist_reactor::Source<S>> {
        let shard = self.next_shard();
        Ok(self.queue.register(shard, io, interest, kind)?)
    }

    fn next_shard(&self) -> usize {
        match self.queue.shards() {
            // The usual case writes no shared memory.
            1 => 0,
            shards => self.registrations.fetch_add(1, Ordering::Relaxed) % shards,
        }
    }
}

/// Registers `io` with the runtime that the calling thread is in.
///
/// # Errors
///
/// [`NoDriver`] outside of a runtime, or in one that has no event queue; else as
/// [`Driver::register`].
pub(crate) fn attach<S: AsFd>(
    io: S,
    interest: Interest,
    kind: Kind,
) -> io::Result<heist_reactor::Source<S>> {
    let handle = Handle::try_current().ok_or(NoDriver::OutsideRuntime)?;
    let driver = Driver::of(&handle).ok_or(NoDriver::NoQueue)?;
    driver.attach(io, interest, kind)
}

/// The error of a socket that has no event queue to register with.
///
/// It is the inner error of an [`io::Error`] of kind [`Unsupported`](io::ErrorKind::Unsupported).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoDriver {
    /// The calling thread is in no runtime.
    #[error("a socket needs a runtime: make it in a task, in `block_on`, or under `Handle::enter`")]
    OutsideRuntime,
    /// The calling thread's runtime was built without an event queue.
    #[error("this runtime has no event queue: build it with `heist_net::Builder`")]
    NoQueue,
}

impl From<NoDriver> for io::Error {
    fn from(error: NoDriver) -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, error)
    }
}

impl Park for Driver {
    fn shards(&self) -> usize {
        self.queue.shards()
    }

    fn max_waiters(&self) -> usize {
        self.queue.max_waiters()
    }

    fn poll(&self, shard: usize, bound: usize, out: &mut Vec<Waker>) -> io::Result<Harvest> {
        self.queue.poll(shard, bound, out).map(harvest)
    }

    fn listen(
        &self,
        shard: usize,
        bound: usize,
        timeout: Option<Duration>,
        out: &mut Vec<Waker>,
    ) -> io::Result<Harvest> {
        self.queue.wait(shard, bound, timeout, out).map(harvest)
    }

    fn wake(&self, shard: usize) {
        if let Err(error) = self.queue.wake(shard) {
            // The wake goes through a descriptor that the queue owns and that is open as long as
            // the queue. An error here means a broken process, and no caller can handle it.
            tracing::error!(shard, %error, "the event queue could not be woken");
        }
    }

    fn ready(&self, shard: usize) -> bool {
        self.queue.ready(shard)
    }

    fn close(&self) -> Vec<Waker> {
        self.queue.close()
    }
}

/// The two crates have the same counts and share no types.
fn harvest(harvest: heist_reactor::Harvest) -> Harvest {
    Harvest {
        events: harvest.events,
        stale: harvest.stale,
        spurious: harvest.spurious,
        woken: harvest.woken,
        closed: harvest.closed,
    }
}

#[cfg(test)]
mod tests {
    use heist_reactor::Config;

    use super::*;

    #[test]
    fn sources_are_spread_over_all_shards_in_turn() {
        let driver =
            |shards| Driver::new(Queue::new(Config { shards, ..Config::default() }).unwrap());
        let three = driver(3);
        let shards: Vec<_> = (0..6).map(|_| three.next_shard()).collect();
        assert_eq!(shards, [0, 1, 2, 0, 1, 2]);
        let one = driver(1);
        assert_eq!((one.next_shard(), one.next_shard()), (0, 0));
    }
}
