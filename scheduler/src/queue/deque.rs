//! A worker's ready tasks: a FIFO deque that others steal from, an express queue before it, and one slot in front
//! of both.
//!
//! FIFO, because the oldest task has waited longest; and because taking half of a FIFO deque is a
//! single CAS (crossbeam-deque), where a LIFO one takes a CAS a task.
//!
//! The *next slot* holds the task that a running task woke last. Running it next keeps two tasks that
//! exchange messages in one cache. No worker is woken for it, and it is not stolen while it is young.
//! When a long poll holds up its worker it ages, and is stolen like any other.

use std::cell::Cell;

use crossbeam_deque::{Stealer, Worker as Deque};
use crossbeam_utils::atomic::AtomicCell;

use super::express::{LocalExpress, SharedExpress, express};
use super::injector::Injector;
use super::steal::until_decided;
use crate::clock::{Instant, nanos};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::task::{Task, WakeStamp};
use crate::wake::estimate::WORTH_A_WAKE;

/// The owner's side.
pub(crate) struct LocalQueue {
    deque: Deque<Task>,
    express: LocalExpress,
    /// Tasks taken from the next slot since one was taken from elsewhere.
    lifo_streak: Cell<u32>,
    /// The value of `next_since` that was stored last.
    since: Cell<u64>,
}

/// The side that other workers see.
///
/// | atomic | written by | ordering |
/// |---|---|---|
/// | `next_since` | the owner stores the time after it filled the slot, and 0 before it empties it; a thief exchanges the time that it read for 0 after it took the task | Release in `push_next`, Acquire in `steal_aged_next`; the owner's own accesses and all others are Relaxed |
/// | `oldest` | the owner | Relaxed: a statistic, which may be out by what happens at the same moment |
///
/// `next_since` must not be 0 while the slot is full, as the owner would not look there. So a thief's 0
/// may replace only the time of the filling that it took, or of an older one. That holds: the thief reads
/// the time with Acquire, so it takes the task of that filling or of a later one. A later filling has
/// another time, and the exchange fails.
pub(crate) struct SharedQueue {
    stealer: Stealer<Task>,
    express: SharedExpress,
    /// The next slot.
    next: AtomicCell<Option<Task>>,
    /// When the next slot was filled, in clock nanoseconds; 0 while it is empty. No two fillings have
    /// the same time.
    next_since: AtomicU64,
    /// The task that waits longest in the deque was woken at this [`WakeStamp`] or later: the wake of the task that
    /// the owner took from it last, or the time when the owner saw it empty.
    oldest: AtomicU64,
}

/// Both sides of a new, empty queue.
pub(crate) fn queue() -> (LocalQueue, SharedQueue) {
    let deque = Deque::new_fifo();
    let stealer = deque.stealer();
    let (local_express, shared_express) = express();
    (
        LocalQueue {
            deque,
            express: local_express,
            lifo_streak: Cell::new(0),
            since: Cell::new(0),
        },
        SharedQueue {
            stealer,
            express: shared_express,
            next: AtomicCell::new(None),
            next_since: AtomicU64::new(0),
            oldest: AtomicU64::new(0),
        },
    )
}

impl LocalQueue {
    pub(crate) fn push(&self, task: Task) {
        self.deque.push(task);
    }

    /// Queues a task that is light, so that it need not wait behind what is in the deque.
    pub(crate) fn push_light(&self, shared: &SharedQueue, task: Task, now: Instant) {
        self.express.push(&shared.express, task, now);
    }

    /// Puts a task woken by a running task into the next slot. What was there is to be queued.
    #[must_use]
    pub(crate) fn push_next(&self, shared: &SharedQueue, task: Task, now: Instant) -> Option<Task> {
        let displaced = shared.next.swap(Some(task));
        self.since.set(now.as_nanos().max(self.since.get() + 1));
        // Release pairs with the Acquire in `steal_aged_next`.
        shared.next_since.store(self.since.get(), Ordering::Release);
        displaced
    }

    /// The next slot's task, unless the slot had too many turns in a row while others wait.
    pub(crate) fn pop_next(&self, shared: &SharedQueue, now: Instant) -> Option<Task> {
        // Relaxed: the owner reads its own store, or a thief's 0, which leaves it nothing to take.
        if shared.next_since.load(Ordering::Relaxed) == 0 {
            return None;
        }
        // Relaxed: publishes nothing; a thief that reads the old time may take the task all the same.
        shared.next_since.store(0, Ordering::Relaxed);
        let task = shared.next.take()?;
        if self.lifo_streak.get() < LIFO_STREAK_MAX {
            self.lifo_streak.set(self.lifo_streak.get() + 1);
            self.express.count_turn();
            return Some(task);
        }
        if self.len() == 0 {
            shared.set_oldest(WakeStamp::at(now));
            return Some(task);
        }
        self.deque.push(task);
        None
    }

    /// The oldest task of the express queue, unless it is the turn of the deque.
    #[inline]
    pub(crate) fn pop_express(&self, shared: &SharedQueue, now: Instant) -> Option<Task> {
        let task = self.express.pop(&shared.express, || !self.deque.is_empty())?;
        self.lifo_streak.set(0);
        if self.deque.is_empty() {
            shared.set_oldest(WakeStamp::at(now));
        }
        Some(task)
    }

    /// The oldest task of the deque.
    pub(crate) fn pop(&self, shared: &SharedQueue) -> Option<Task> {
        self.lifo_streak.set(0);
        self.express.end_streak();
        let task = self.deque.pop()?;
        shared.set_oldest(task.metadata().woken());
        Some(task)
    }

    /// Tasks that other workers may steal.
    pub(crate) fn len(&self) -> usize {
        self.deque.len() + self.express.len()
    }

    /// Whether several tasks wait in the deque, and light ones have passed some lately.
    pub(crate) fn is_passed(&self, now: Instant) -> bool {
        self.express.was_used_lately(now) && self.deque.len() > 1
    }

    /// Takes one task of the injector and up to `limit - 1` more into the deque.
    pub(crate) fn take_injected(
        &self,
        shared: &SharedQueue,
        injector: &Injector,
        limit: usize,
    ) -> Option<Task> {
        let empty = self.deque.is_empty();
        let task = injector.take(&self.deque, limit)?;
        if empty {
            shared.set_oldest(task.metadata().woken());
        }
        Some(task)
    }

    /// Takes one task of another worker and up to `limit - 1` more, at most half of what it has.
    ///
    /// What is in its express queue goes first. The own deque has to be empty.
    pub(crate) fn steal(
        &self,
        shared: &SharedQueue,
        victim: &SharedQueue,
        limit: usize,
    ) -> Option<Task> {
        let attempt = || victim.stealer.steal_batch_with_limit_and_pop(&self.deque, limit);
        let light = victim.express.steal(&self.deque, limit);
        let task = light.or_else(|| until_decided(attempt))?;
        shared.set_oldest(task.metadata().woken());
        Some(task)
    }
}

impl SharedQueue {
    pub(crate) fn len(&self) -> usize {
        self.stealer.len() + self.express.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stealer.is_empty() && self.express.is_empty()
    }

    /// Whether the next slot has a task; for the owner.
    pub(crate) fn next_is_filled(&self) -> bool {
        // Relaxed: as in `pop_next`.
        self.next_since.load(Ordering::Relaxed) != 0
    }

    /// Whether the next slot's task has waited longer than a wake is worth.
    pub(crate) fn next_has_aged(&self, now: Instant) -> bool {
        // Relaxed: a hint; the thief that follows it reads again.
        aged(self.next_since.load(Ordering::Relaxed), now)
    }

    /// Takes the next slot's task if it has aged.
    pub(crate) fn steal_aged_next(&self, now: Instant) -> Option<Task> {
        // Acquire pairs with the Release in `push_next`.
        let since = self.next_since.load(Ordering::Acquire);
        if !aged(since, now) {
            return None;
        }
        let task = self.next.take();
        // Relaxed: publishes nothing. It fails if the slot was emptied or filled meanwhile.
        let _ = self.next_since.compare_exchange(since, 0, Ordering::Relaxed, Ordering::Relaxed);
        task
    }

    /// How long the oldest task here has waited, at most, in nanoseconds.
    pub(crate) fn age(&self, now: Instant) -> u64 {
        // Relaxed here and below: statistics.
        let oldest = self.oldest.load(Ordering::Relaxed);
        let next = match self.next_since.load(Ordering::Relaxed) {
            0 => 0,
            filled => now.as_nanos().saturating_sub(filled),
        };
        let next = next.max(self.express.age(now));
        match self.stealer.is_empty() {
            true => next,
            false => next.max(WakeStamp::from_bits(oldest).nanos_until(now)),
        }
    }

    /// By the owner: no task in the deque was woken before `stamp`.
    pub(crate) fn set_oldest(&self, stamp: WakeStamp) {
        self.oldest.store(stamp.to_bits(), Ordering::Relaxed);
    }

    /// Takes any task; for a runtime that shuts down, in which nothing is queued any more.
    pub(crate) fn take_any(&self) -> Option<Task> {
        let next = self.next.take().or_else(|| self.express.take_any());
        next.or_else(|| until_decided(|| self.stealer.steal()))
    }
}

/// Whether a task that came into the next slot at `since` has waited longer than a wake is worth.
fn aged(since: u64, now: Instant) -> bool {
    since != 0 && now.as_nanos().saturating_sub(since) > nanos(WORTH_A_WAKE)
}

/// Tasks taken from the next slot in a row, at most, while others wait in the deque.
pub(crate) const LIFO_STREAK_MAX: u32 = 3;
