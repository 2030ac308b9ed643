//! The back end wherever mio runs: one thread at a time is inside mio's `Poll`, and the others
//! block on a lock until it leaves.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

// Not `crate::sync`: this lock is held across a wait in the kernel, which no model covers.
use parking_lot::{Mutex, MutexGuard};

use super::signals::{BATCH, Signals};
use crate::readiness::Bits;
use crate::token::Token;

/// One thread may wait on a shard; a second one blocks until the first leaves.
pub(crate) const MAX_WAITERS: usize = 1;

/// One instance of the system's queue, and the two signals beside it.
#[derive(Debug)]
pub(crate) struct Shard {
    registry: mio::Registry,
    /// Makes the thread inside return from the kernel; the two flags tell the reason.
    waker: mio::Waker,
    /// | value | set by | cleared by |
    /// |---|---|---|
    /// | `true`: a wake was not reported yet | `wake`, before it uses the waker | the thread that reports it |
    woken: AtomicBool,
    /// | value | set by | cleared by |
    /// |---|---|---|
    /// | `true`: the shard is closed | `close`, before it uses the waker | never |
    closed: AtomicBool,
    /// Holding this = the right to poll.
    poller: Mutex<Poller>,
}

/// The state of the one thread that may poll.
#[derive(Debug)]
struct Poller {
    poll: mio::Poll,
    events: mio::Events,
    /// The number of events that the last poll returned.
    held: usize,
    /// The number of those that were handed out already.
    taken: usize,
}

impl Shard {
    pub(crate) fn new() -> io::Result<Shard> {
        let poll = mio::Poll::new()?;
        Ok(Shard {
            registry: poll.registry().try_clone()?,
            waker: mio::Waker::new(poll.registry(), Token::WAKE.into())?,
            woken: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            poller: Mutex::new(Poller {
                poll,
                events: mio::Events::with_capacity(BATCH),
                held: 0,
                taken: 0,
            }),
        })
    }

    pub(crate) fn registry(&self) -> &mio::Registry {
        &self.registry
    }

    pub(crate) fn poll(
        &self,
        bound: usize,
        deliver: impl FnMut(Token, Bits),
    ) -> io::Result<Signals> {
        match self.poller.try_lock() {
            Some(poller) => self.harvest(poller, bound, Some(Duration::ZERO), deliver),
            // The thread inside takes the events, and a wake.
            None => Ok(Signals { woken: false, closed: self.is_closed() }),
        }
    }

    pub(crate) fn wait(
        &self,
        bound: usize,
        timeout: Option<Duration>,
        deliver: impl FnMut(Token, Bits),
    ) -> io::Result<Signals> {
        match self.enter(timeout) {
            Some((poller, timeout)) => self.harvest(poller, bound, timeout, deliver),
            None => Ok(Signals { woken: false, closed: self.is_closed() }),
        }
    }

    pub(crate) fn wake(&self) -> io::Result<()> {
        // Release pairs with the Acquire in `harvest`: the thread that reports the wake sees what
        // the caller did before it.
        self.woken.store(true, Ordering::Release);
        self.waker.wake()
    }

    pub(crate) fn close(&self) {
        // Release pairs with the Acquire in `is_closed`.
        self.closed.store(true, Ordering::Release);
        // One wake-up is enough: threads that block on the lock find the flag as they enter. It can
        // fail only if the descriptor is closed.
        let woken = self.waker.wake();
        debug_assert!(woken.is_ok(), "{woken:?}");
    }

    pub(crate) fn ready(&self) -> bool {
        // The thread inside takes all events; nothing is left for the caller to do.
        let Some(mut poller) = self.poller.try_lock() else {
            return false;
        };
        // Yes after an error: the next caller meets it.
        self.is_closed() || poller.refill(Some(Duration::ZERO)).is_err() || poller.left() > 0
    }

    /// Waits for the lock; returns it with what is left of the time-out.
    fn enter(
        &self,
        timeout: Option<Duration>,
    ) -> Option<(MutexGuard<'_, Poller>, Option<Duration>)> {
        if let Some(poller) = self.poller.try_lock() {
            return Some((poller, timeout));
        }
        let Some(timeout) = timeout else {
            return Some((self.poller.lock(), None));
        };
        let begin = Instant::now();
        let poller = self.poller.try_lock_for(timeout)?;
        Some((poller, Some(timeout.saturating_sub(begin.elapsed()))))
    }

    fn harvest(
        &self,
        mut poller: MutexGuard<'_, Poller>,
        bound: usize,
        timeout: Option<Duration>,
        deliver: impl FnMut(Token, Bits),
    ) -> io::Result<Signals> {
        // A close after this load wakes the thread in the kernel; a close before it is seen here.
        let timeout = if self.is_closed() { Some(Duration::ZERO) } else { timeout };
        poller.refill(timeout)?;
        // Reported only when the waker's event is handed out: a wake stays behind the events before
        // it. Its flag was set before the waker was used, unless an earlier event of the waker has
        // reported it. Acquire pairs with the Release in `wake`.
        let waker_fired = poller.hand_out(bound, deliver);
        let woken = waker_fired && self.woken.swap(false, Ordering::Acquire);
        Ok(Signals { woken, closed: self.is_closed() })
    }

    fn is_closed(&self) -> bool {
        // Acquire pairs with the Release in `close`.
        self.closed.load(Ordering::Acquire)
    }
}

impl Poller {
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

    /// Hands out up to `bound` events; whether the waker's was among them.
    fn hand_out(&mut self, bound: usize, mut deliver: impl FnMut(Token, Bits)) -> bool {
        let mut waker_fired = false;
        for event in self.events.iter().take(self.held).skip(self.taken).take(bound) {
            self.taken += 1;
            let token = Token::from_raw(event.token().0 as u64);
            match token.is_reserved() {
                false => deliver(token, bits(event)),
                true => waker_fired = true,
            }
        }
        waker_fired
    }

    fn left(&self) -> usize {
        self.held - self.taken
    }
}

/// The flags of the word for mio's event.
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
    .filter(|&(reported, _)| reported)
    .fold(Bits::NONE, |bits, (_, flags)| bits | flags)
}
