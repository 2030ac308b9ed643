//! The timer under `sleep`, `timeout` and `interval`.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::now::poll_time;
use crate::clock::Instant;
use crate::context::{self, no_runtime};
use crate::coop;
use crate::wheel::{Armed, Arming, CachedEntry, Chunk, Tick};

/// A deadline that costs next to nothing to move: one timer a connection is enough.
///
/// Made for state machines that set their deadline again with every message. It takes 24 bytes,
/// allocates nothing, and joins the timers of the worker that polls it only when it is polled.
/// Moving the deadline later, and taking it away, touches nothing that threads contend for;
/// moving it earlier files the timer anew at the next poll.
///
/// A timer never fires early. It fires up to
/// 62.5 µs late, as deadlines are rounded up to a sixteenth of a millisecond. A worker with timers that are due
/// at four or more of the next eight sixteenths fires them together, up to half a millisecond late, rather
/// than wake for each. Timers are later than that only while every worker is busy. Dropping one cancels it.
///
/// To wait for a deadline in an `async fn`, use [`sleep_until`](super::sleep_until).
///
/// ```
/// use std::future::poll_fn;
/// use std::time::Duration;
/// use heist::time::{Instant, Timer};
///
/// let runtime = heist::Builder::new().start()?;
/// runtime.block_on(async {
///     let mut idle = Timer::new();
///     idle.set(Some(Instant::now() + Duration::from_millis(1)));
///     poll_fn(|cx| idle.poll_elapsed(cx)).await;
///     // Elapsed until it is set again.
///     poll_fn(|cx| idle.poll_elapsed(cx)).await;
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Debug)]
pub struct Timer {
    /// Where the entry is; `None` while there is none.
    chunk: Option<Arc<Chunk>>,
    /// The entry, which belongs to this timer also when it has fired. Its own deadline may be an
    /// earlier one than this timer's.
    index: u32,
    phase: Phase,
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no deadline. The entry may wait for an earlier one.
    Unset,
    /// The deadline has not been seen to pass. The entry, if there is one, may be filed later.
    Set,
    /// The deadline has not been seen to pass. There is an entry; if it is filed, then at the deadline
    /// or earlier.
    Armed,
    /// The deadline has been seen to pass. There is no entry.
    Elapsed,
}

impl Timer {
    /// A timer without a deadline.
    pub const fn new() -> Timer {
        Timer { chunk: None, index: 0, phase: Phase::Unset, deadline: Instant::FAR_FUTURE }
    }

    /// The deadline set last, passed or not. `None` while there is none, which is also what a
    /// deadline of [`Instant::FAR_FUTURE`] means.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        (self.phase != Phase::Unset).then_some(self.deadline)
    }

    /// Whether [`Timer::poll_elapsed`] has been ready since the deadline was set.
    pub fn is_elapsed(&self) -> bool {
        self.phase == Phase::Elapsed
    }

    /// Sets the deadline, or takes it away.
    ///
    /// The new deadline counts from the next [`Timer::poll_elapsed`] on. That poll may be left out
    /// where [`Timer::may_skip_poll`] says so, as it mostly does where a pending deadline was moved later.
    ///
    /// A deadline that was taken away may still wake the task once: the entry is left where it is,
    /// as more often than not another deadline follows, and a later one.
    pub fn set(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline.unwrap_or(Instant::FAR_FUTURE);
        if self.deadline == Instant::FAR_FUTURE {
            self.phase = Phase::Unset;
            return;
        }
        let tick = Tick::of_deadline(self.deadline);
        let postponed = self.chunk.as_ref().is_some_and(|chunk| chunk.postpone(self.index, tick));
        self.phase = if postponed { Phase::Armed } else { Phase::Set };
    }

    /// Ready once the deadline has passed, and from then on until another one is set. Otherwise the
    /// task is woken when it has; for ever pending while there is no deadline.
    ///
    /// Cancel-safe: only the task that polled last is woken, nothing is lost by not polling.
    ///
    /// Where a queue holds 2^24 timers already, the task is woken at once to try again. Once the
    /// runtime has begun to shut down it does not become ready. It spends nothing of the poll's budget: a
    /// caller that polls it in a loop does, by [`coop::poll_proceed`].
    ///
    /// # Panics
    ///
    /// Outside a runtime, if a deadline is set and has not been seen to pass: there is neither a
    /// clock nor a thread to wake the task.
    pub fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.phase {
            Phase::Unset => {
                ready!(coop::poll_closing());
                return Poll::Pending;
            }
            Phase::Elapsed => return Poll::Ready(()),
            Phase::Set | Phase::Armed => {}
        }
        // The poll's own time is never later than now, so this is never early.
        let now = poll_time("a timer");
        if now >= self.deadline {
            return self.elapse();
        }
        if self.is_filed_for(cx) || self.takes_over_cached(now, cx) {
            self.phase = Phase::Armed;
            return Poll::Pending;
        }
        self.arm(cx)
    }

    /// Whether [`poll_elapsed`](Timer::poll_elapsed) may be left out at `now`, in the task that polled
    /// last: the deadline has not passed by then, and that task will be woken once it has.
    ///
    /// Reads the timer's entry and no clock. The time alone is not enough: another worker, whose clock is
    /// ahead, may have fired the timer already. Its wake changes nothing for a task that is queued, and
    /// by the time with which that task then runs the deadline may be still to come.
    #[inline]
    pub fn may_skip_poll(&self, now: Instant) -> bool {
        self.phase == Phase::Armed
            && self
                .chunk
                .as_ref()
                .is_some_and(|chunk| chunk.may_skip_poll(self.index, self.deadline, now))
    }

    /// As [`may_skip_poll`](Timer::may_skip_poll), for a task that may not be the one that polled last;
    /// if it is not, this is false.
    #[inline]
    pub fn may_skip_poll_for(&self, now: Instant, cx: &Context<'_>) -> bool {
        self.phase == Phase::Armed && now < self.deadline && self.is_filed_for(cx)
    }

    /// Whether this task will be woken in time as things are.
    fn is_filed_for(&self, cx: &Context<'_>) -> bool {
        let tick = Tick::of_deadline(self.deadline);
        self.chunk.as_ref().is_some_and(|chunk| chunk.waits(self.index, tick, cx.waker()))
    }

    /// Takes over the entry that the current worker has cached, if this has none; whether that arms the
    /// timer.
    #[inline]
    fn takes_over_cached(&mut self, now: Instant, cx: &Context<'_>) -> bool {
        if self.chunk.is_some() {
            return false;
        }
        let Some(CachedEntry { chunk, index }) = context::take_cached_timer() else {
            return false;
        };
        let tick = Tick::of_deadline(self.deadline);
        let waits = chunk.take_over(index, tick, now, cx.waker());
        (self.chunk, self.index) = (Some(chunk), index);
        waits
    }

    /// Files the timer with the current worker's queue, or the shared one: in the entry it has, if that
    /// is of this queue.
    fn arm(&mut self, cx: &Context<'_>) -> Poll<()> {
        let is_here = |chunk: &Arc<Chunk>| context::with_timers(|queue| queue.owns(chunk));
        if self.chunk.as_ref().is_some_and(|chunk| is_here(chunk) != Some(true)) {
            self.disarm();
        }
        let mut arming = Arming::new(self.deadline, cx.waker());
        let held = self.chunk.as_ref().map(|_| self.index);
        let filed = context::with_timers(|queue| {
            let (armed, earlier) = queue.file(held, &mut arming);
            (armed, (earlier && queue.has_hook()).then(|| Arc::clone(queue)))
        });
        let Some((armed, alarmed)) = filed else { no_runtime("a timer") };
        if let Some(queue) = alarmed {
            queue.call_hook(&arming);
        }
        arming.finish();
        match armed {
            Armed::Waits(entry) => {
                self.phase = Phase::Armed;
                if let Some(CachedEntry { chunk, index }) = entry {
                    (self.chunk, self.index) = (Some(chunk), index);
                }
                Poll::Pending
            }
            Armed::Full => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Armed::Due => self.elapse(),
            // The queue is that of the runtime which waits here.
            Armed::Closed => context::refuse(),
        }
    }

    fn elapse(&mut self) -> Poll<()> {
        ready!(coop::poll_closing());
        self.disarm();
        self.phase = Phase::Elapsed;
        Poll::Ready(())
    }

    fn disarm(&mut self) {
        if let Some(chunk) = self.chunk.take() {
            context::release_timer(CachedEntry { chunk, index: self.index });
        }
    }
}

impl Default for Timer {
    fn default() -> Timer {
        Timer::new()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// A connection's share of its timers is part of its budget of memory.
const _: () = assert!(size_of::<Timer>() <= 24);
