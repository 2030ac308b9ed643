//! The queue wherever mio runs: one thread at a time is inside mio's `Poll`, the others stand in
//! line for it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

// Not the facade's: this lock is held across a wait in the kernel, where no model reaches.
use parking_lot::{Mutex, MutexGuard};

use super::{BATCH, Signals};
use crate::readiness::Bits;
use crate::token::Token;

/// One thread may wait on a shard; a second one stands in line.
pub(super) const PLACES: usize = 1;

/// One instance of the system's queue, and the two signals that go beside it.
#[derive(Debug)]
pub(super) struct Shard {
    registry: mio::Registry,
    /// Kicks the thread inside out of the kernel; the two flags say what for.
    kick: mio::Waker,
    /// Set by `wake` before it kicks, cleared by the thread that reports it.
    woken: AtomicBool,
    /// Set by `close` before it kicks, never cleared.
    closed: AtomicBool,
    /// Holding this = the right to poll.
    inside: Mutex<Inside>,
}

/// What the thread inside works with.
#[derive(Debug)]
struct Inside {
    poll: mio::Poll,
    events: mio::Events,
    /// How many events the last look brought.
    held: usize,
    /// How many of them were handed out already.
    taken: usize,
}

impl Shard {
    pub(super) fn new() -> io::Result<Shard> {
        let poll = mio::Poll::new()?;
        Ok(Shard {
            registry: poll.registry().try_clone()?,
            kick: mio::Waker::new(poll.registry(), Token::WAKE.into())?,
            woken: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            inside: Mutex::new(Inside {
                poll,
                events: mio::Events::with_capacity(BATCH),
                held: 0,
                taken: 0,
            }),
        })
    }

    pub(super) fn registry(&self) -> &mio::Registry {
        &self.registry
    }

    pub(super) fn poll(
        &self,
        bound: usize,
        deliver: impl FnMut(Token, Bits),
    ) -> io::Result<Signals> {
        match self.inside.try_lock() {
            Some(inside) => self.harvest(inside, bound, Some(Duration::ZERO), deliver),
            // What there is goes to the thread inside, and so does a wake.
            None => Ok(Signals { woken: false, closed: self.is_closed() }),
        }
    }

    pub(super) fn wait(
        &self,
        bound: usize,
        timeout: Option<Duration>,
        deliver: impl FnMut(Token, Bits),
    ) -> io::Result<Signals> {
        match self.enter(timeout) {
            Some((inside, timeout)) => self.harvest(inside, bound, timeout, deliver),
            None => Ok(Signals { woken: false, closed: self.is_closed() }),
        }
    }

    pub(super) fn wake(&self) -> io::Result<()> {
        // Release pairs with the Acquire in `harvest`: whoever reports the wake sees what the
        // caller did before it.
        self.woken.store(true, Ordering::Release);
        self.kick.wake()
    }

    pub(super) fn close(&self) {
        // Release pairs with the Acquire in `is_closed`.
        self.closed.store(true, Ordering::Release);
        // One kick is enough: threads that stand in line find the flag as they enter. It can fail
        // only if the descriptor is not ours any more.
        let kicked = self.kick.wake();
        debug_assert!(kicked.is_ok(), "{kicked:?}");
    }

    pub(super) fn ready(&self) -> bool {
        // Whoever is inside takes what there is; nothing is left for the caller to do.
        let Some(mut inside) = self.inside.try_lock() else {
            return false;
        };
        // An error is the next caller's to meet.
        self.is_closed() || inside.refill(Some(Duration::ZERO)).is_err() || inside.left() > 0
    }

    /// Waits for the place inside; returns it with what is left of the time-out.
    fn enter(
        &self,
        timeout: Option<Duration>,
    ) -> Option<(MutexGuard<'_, Inside>, Option<Duration>)> {
        if let Some(inside) = self.inside.try_lock() {
            return Some((inside, timeout));
        }
        let Some(timeout) = timeout else {
            return Some((self.inside.lock(), None));
        };
        let begin = Instant::now();
        let inside = self.inside.try_lock_for(timeout)?;
        Some((inside, Some(timeout.saturating_sub(begin.elapsed()))))
    }

    fn harvest(
        &self,
        mut inside: MutexGuard<'_, Inside>,
        bound: usize,
        timeout: Option<Duration>,
        deliver: impl FnMut(Token, Bits),
    ) -> io::Result<Signals> {
        // A close that comes after this look kicks us out; a look before it would not.
        let timeout = if self.is_closed() { Some(Duration::ZERO) } else { timeout };
        inside.refill(timeout)?;
        // Not before the kick's turn has come: a wake queues up behind the events before it. Its
        // flag was set before the kick, unless an earlier kick has spoken for it. Acquire pairs with
        // the Release in `wake`.
        let kicked = inside.hand_out(bound, deliver);
        let woken = kicked && self.woken.swap(false, Ordering::Acquire);
        Ok(Signals { woken, closed: self.is_closed() })
    }

    fn is_closed(&self) -> bool {
        // Acquire pairs with the Release in `close`.
        self.closed.load(Ordering::Acquire)
    }
}

impl Inside {
    /// Asks the kernel for events, unless some are left.
    fn refill(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if self.left() > 0 {
            return Ok(());
        }
        (self.held, self.taken) = (0, 0);
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => self.held = self.events.iter().count(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether there was a kick among what was handed out.
    fn hand_out(&mut self, bound: usize, mut deliver: impl FnMut(Token, Bits)) -> bool {
        let mut kicked = false;
        for event in self.events.iter().take(self.held).skip(self.taken).take(bound) {
            self.taken += 1;
            let token = Token::from_raw(event.token().0 as u64);
            match token.is_reserved() {
                false => deliver(token, bits(event)),
                true => kicked = true,
            }
        }
        kicked
    }

    fn left(&self) -> usize {
        self.held - self.taken
    }
}

/// What mio's event means for the word.
fn bits(event: &mio::event::Event) -> Bits {
    [
        (event.is_readable(), Bits::READABLE),
        (event.is_writable(), Bits::WRITABLE),
        (event.is_priority(), Bits::URGENT_DATA),
        (event.is_read_closed(), Bits::READ_END),
        (event.is_write_closed(), Bits::WRITE_END),
        (event.is_error(), Bits::FAILED),
    ]
    .into_iter()
    .filter(|&(said, _)| said)
    .fold(Bits::NONE, |bits, (_, meaning)| bits | meaning)
}
