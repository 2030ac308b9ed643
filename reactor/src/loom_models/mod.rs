//! Models of the readiness protocol: every interleaving, up to a bound on preemptions.
//!
//! Each promise has a model, and each defence a mutant that takes it out and that a model must
//! catch. A counter of bytes under a lock stands for the kernel: the dispatcher adds a byte, then
//! delivers the edge, as the kernel does.

mod hand_over;
mod lifetime;
mod persistent;
mod several;

use std::future::poll_fn;
use std::io;
use std::pin::pin;
// Not loom's: when a model fails, loom unwinds its waiting threads after the state that its own
// `Arc` needs for a drop is gone. The same holds for its `block_on`.
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use loom::sync::Notify;

use crate::drain::Drain;
use crate::readiness::{Arming, Bits, Delivery, Direction};
use crate::slot::WaitMode;
use crate::sources::Sources;
use crate::sync::Mutex;
use crate::token::Token;

const READY: [(Direction, Bits); 2] =
    [(Direction::Read, Bits::READABLE), (Direction::Write, Bits::WRITABLE)];

fn model(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

/// A source with both directions armed, and the bytes on its kernel side.
struct Simulated {
    sources: Sources,
    token: Token,
    bytes: [Mutex<usize>; 2],
}

impl Simulated {
    fn new() -> Arc<Simulated> {
        Simulated::with(Direction::Read.armed() | Direction::Write.armed())
    }

    fn with(bits: Bits) -> Arc<Simulated> {
        let sources = Sources::new(4);
        let token = sources.insert(bits).expect("the table is empty");
        Arc::new(Simulated { sources, token, bytes: [Mutex::new(0), Mutex::new(0)] })
    }

    /// The kernel side gets a byte in each of the directions, and one event reports all of them.
    fn edge(&self, directions: &[Direction]) {
        let mut bits = Bits::NONE;
        for &direction in directions {
            *self.bytes[direction as usize].lock() += 1;
            bits = bits | READY[direction as usize].1;
        }
        let mut wakers = Vec::new();
        let delivery = self.sources.deliver(self.token, bits, &mut wakers);
        assert_ne!(delivery, Delivery::Stale);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn poll_drain(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Drain<'_>>> {
        let slot = self.sources.owned(self.token);
        let taken = ready!(slot.poll_take(direction, cx, WaitMode::Shared, armed));
        Poll::Ready(taken.map(|_| Drain::new(slot, direction, false)))
    }

    /// A read of at most `room` bytes; 0 is `WouldBlock`.
    fn read(&self, direction: Direction, room: usize) -> usize {
        let mut bytes = self.bytes[direction as usize].lock();
        let read = room.min(*bytes);
        *bytes -= read;
        read
    }

    /// The task: drains its direction until it has `wanted` bytes. Returns the number of tries.
    async fn consume(&self, direction: Direction, wanted: usize) -> usize {
        let (mut received, mut tries) = (0, 0);
        while received < wanted {
            let drain = poll_fn(|cx| self.poll_drain(direction, cx)).await.expect("never closed");
            tries += 1;
            loop {
                match self.read(direction, 1) {
                    0 => break drain.drained(),
                    n => received += n,
                }
            }
        }
        tries
    }
}

/// For a source whose directions are armed.
fn armed(_: Arming) -> io::Result<()> {
    unreachable!("both are armed")
}

/// Polls until ready, and sleeps in between.
fn block_on<T>(task: impl Future<Output = T>) -> T {
    struct Unpark(Notify);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.notify();
        }
    }
    let unpark = Arc::new(Unpark(Notify::new()));
    let waker = Waker::from(Arc::clone(&unpark));
    let mut task = pin!(task);
    loop {
        if let Poll::Ready(done) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        unpark.0.wait();
    }
}
