//! One edge-triggered event queue for any number of waiting threads.
//!
//! # The way of one event
//!
//! 1. A task wants to read from a [`Source`]. [`Source::poll_drain`] finds the readable bit of the
//!    source's word clear, stores the task's waker in the source's slot, looks at the word again, and
//!    returns `Pending`.
//! 2. Threads wait in [`Queue::wait`]. Bytes arrive, and the kernel makes exactly one of them return
//!    with an event. The event carries the token of the registration: a slot and a generation.
//! 3. The word of the slot holds the generation of its present owner. If the two differ, the source
//!    of the event is gone, and the event is counted as stale and dropped. If not, the readable bit is
//!    set. One compare-and-exchange does both.
//! 4. If a task waited, its waker moves from the slot to the caller's `Vec`; of several tasks that
//!    wait by a [`Waiter`], the waker of one. The queue schedules nothing: the caller decides when,
//!    where and whether to wake.
//! 5. The task polls again. [`Source::poll_drain`] clears the bit *first* and returns a [`Drain`].
//!    The task reads until `WouldBlock` and calls [`Drain::drained`]. An edge that arrives meanwhile
//!    sets the bit again, so nothing is lost between the last read and the next wait. A task that
//!    stops early drops the `Drain`, which sets the bit too.
//!
//! So each source is registered with the kernel once, edge-triggered, and a drain re-arms it in
//! user space, with no system call. A source may be registered only when a task first has to wait
//! for it ([`Interest::None`]), or never.
//!
//! The README of the crate lists its layers and what to change where.
//!
//! # Example
//!
//! The crate knows no runtime. Here a thread waits on the queue and wakes; the main thread plays
//! the task, and its waker unparks it.
//!
//! ```
//! use heist::reactor::{Config, Direction, Interest, Kind, Queue};
//! use std::io::{self, Read, Write};
//! use std::net::{TcpListener, TcpStream};
//! use std::sync::Arc;
//! use std::task::{Context, Poll, Wake, Waker};
//! use std::thread::{self, Thread};
//!
//! struct Unpark(Thread);
//! impl Wake for Unpark {
//!     fn wake(self: Arc<Self>) {
//!         self.0.unpark();
//!     }
//! }
//!
//! /// Polls until ready, and sleeps in between.
//! fn block_on<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
//!     let waker = Waker::from(Arc::new(Unpark(thread::current())));
//!     loop {
//!         match poll(&mut Context::from_waker(&waker)) {
//!             Poll::Ready(done) => return done,
//!             Poll::Pending => thread::park(),
//!         }
//!     }
//! }
//!
//! # fn main() -> io::Result<()> {
//! let queue = Queue::new(Config::default())?;
//! let waiting = thread::spawn({
//!     let queue = queue.clone();
//!     move || -> io::Result<()> {
//!         let mut wakers = Vec::new();
//!         loop {
//!             let harvest = queue.wait(0, 64, None, &mut wakers)?;
//!             wakers.drain(..).for_each(Waker::wake);
//!             if harvest.closed {
//!                 return Ok(());
//!             }
//!         }
//!     }
//! });
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! listener.set_nonblocking(true)?;
//! let listener = queue.register(0, listener, Interest::Read, Kind::Other)?;
//! let client = thread::spawn(move || TcpStream::connect(address)?.write_all(b"hello"));
//!
//! let (peer, _) = block_on(|cx| listener.poll_io(Direction::Read, cx, |io| io.accept()))?;
//! peer.set_nonblocking(true)?;
//! let peer = queue.register(0, peer, Interest::Read, Kind::Stream)?;
//! let mut received = Vec::new();
//! let mut buffer = [0; 64];
//! loop {
//!     let read = block_on(|cx| {
//!         peer.poll_io(Direction::Read, cx, |mut io| io.read(&mut buffer))
//!     })?;
//!     if read == 0 {
//!         break;
//!     }
//!     received.extend_from_slice(&buffer[..read]);
//! }
//! assert_eq!(received, b"hello");
//!
//! client.join().expect("the client does not panic")?;
//! queue.close().into_iter().for_each(Waker::wake);
//! waiting.join().expect("the waiting thread does not panic")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Back ends
//!
//! On Linux any number of threads wait on one epoll instance. Elsewhere, and on Linux when compiled
//! with `--cfg heist_portable`, one thread at a time waits in mio's `Poll` and
//! [`Queue::max_waiters`] is 1. This is no cargo feature, because features add up and the two back
//! ends exclude each other.
#![deny(unsafe_code)]

mod backend;
mod drain;
mod error;
mod interest;
mod mutant;
mod queue;
mod readiness;
mod slot;
mod source;
mod sources;
mod sync;
mod token;
mod uninterrupted;
mod waiter;

#[cfg(all(test, heist_loom))]
mod loom_models;

pub use crate::drain::Drain;
pub use crate::error::{Closed, RegisterError};
pub use crate::interest::{Interest, Kind};
pub use crate::queue::{Config, Harvest, Queue};
pub use crate::readiness::Direction;
pub use crate::source::Source;
pub use crate::uninterrupted::uninterrupted;
pub use crate::waiter::Waiter;
