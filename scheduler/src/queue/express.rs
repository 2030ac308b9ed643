//! The express queue of a worker: tasks that need not wait behind the others.
//!
//! A FIFO deque beside the main one, served before it. So that the others always have their share, it gives way
//! to one task of the main deque after each [`EXPRESS_STREAK_MAX`] tasks in a row, those of the next slot counted. Other
//! workers steal from it as from the main one. While it is not in use it costs a look at one flag.

use std::cell::Cell;
use std::time::Duration;

use crossbeam_deque::{Stealer, Worker as Deque};

use super::steal::until_decided;
use crate::clock::{Instant, nanos};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::task::{Task, WakeStamp};

/// The owner's side.
pub(super) struct LocalExpress {
    deque: Deque<Task>,
    /// As the shared flag.
    in_use: Cell<bool>,
    /// Tasks taken from here, and from the next slot, since one was taken from the main deque.
    streak: Cell<u32>,
    /// When a task was queued last.
    used_at: Cell<Instant>,
}

/// The side that other workers see.
///
/// | atomic | written by | ordering |
/// |---|---|---|
/// | `in_use` | the owner: true before it queues a task, false when it has found the deque empty | Relaxed: a thread that reads false misses a task that is queued at the same moment, as one that looks into the deque does. Where a task must not be missed, the fences of `wake::Sleep` are behind both the flag and the task |
/// | `oldest` | the owner | Relaxed: a statistic |
pub(super) struct SharedExpress {
    stealer: Stealer<Task>,
    in_use: AtomicBool,
    /// As `SharedQueue::oldest`, of this deque.
    oldest: AtomicU64,
}

/// Both sides of a new, empty queue.
pub(super) fn express() -> (LocalExpress, SharedExpress) {
    let deque = Deque::new_fifo();
    let stealer = deque.stealer();
    let local = LocalExpress {
        deque,
        in_use: Cell::new(false),
        streak: Cell::new(0),
        used_at: Cell::new(Instant::ZERO),
    };
    let shared =
        SharedExpress { stealer, in_use: AtomicBool::new(false), oldest: AtomicU64::new(0) };
    (local, shared)
}

impl LocalExpress {
    /// Queues a task that was woken `now`.
    pub(super) fn push(&self, shared: &SharedExpress, task: Task, now: Instant) {
        self.used_at.set(now);
        if !self.in_use.replace(true) {
            shared.oldest.store(WakeStamp::at(now).to_bits(), Ordering::Relaxed);
            shared.in_use.store(true, Ordering::Relaxed);
        }
        self.deque.push(task);
    }

    /// The oldest task, unless it is the turn of the main deque, in which others may wait.
    #[inline]
    pub(super) fn pop(
        &self,
        shared: &SharedExpress,
        others_wait: impl FnOnce() -> bool,
    ) -> Option<Task> {
        if !self.in_use.get() || self.streak.get() >= EXPRESS_STREAK_MAX && others_wait() {
            return None;
        }
        let Some(task) = self.deque.pop() else {
            self.in_use.set(false);
            shared.in_use.store(false, Ordering::Relaxed);
            return None;
        };
        self.count_turn();
        shared.oldest.store(task.metadata().woken().to_bits(), Ordering::Relaxed);
        Some(task)
    }

    /// A task has its turn that is not of the main deque: one of here, or one that such a task woke.
    #[inline]
    pub(super) fn count_turn(&self) {
        self.streak.set(self.streak.get().saturating_add(1));
    }

    /// A task of the main deque has its turn.
    #[inline]
    pub(super) fn end_streak(&self) {
        self.streak.set(0);
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        if self.in_use.get() { self.deque.len() } else { 0 }
    }

    /// Whether a task was queued here lately.
    pub(super) fn was_used_lately(&self, now: Instant) -> bool {
        now.nanos_since(self.used_at.get()) < nanos(LATELY)
    }
}

impl SharedExpress {
    #[inline]
    pub(super) fn len(&self) -> usize {
        if self.in_use.load(Ordering::Relaxed) { self.stealer.len() } else { 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.in_use.load(Ordering::Relaxed) || self.stealer.is_empty()
    }

    /// Takes the oldest task, and up to `limit - 1` more into `deque`, at most half of what there is.
    pub(super) fn steal(&self, deque: &Deque<Task>, limit: usize) -> Option<Task> {
        if self.is_empty() {
            return None;
        }
        until_decided(|| self.stealer.steal_batch_with_limit_and_pop(deque, limit))
    }

    /// How long the oldest task here has waited, at most, in nanoseconds.
    pub(super) fn age(&self, now: Instant) -> u64 {
        match self.is_empty() {
            true => 0,
            false => WakeStamp::from_bits(self.oldest.load(Ordering::Relaxed)).nanos_until(now),
        }
    }

    /// Takes any task; for a runtime that shuts down.
    pub(super) fn take_any(&self) -> Option<Task> {
        until_decided(|| self.stealer.steal())
    }
}

/// Tasks taken in a row, at most, until none is taken from here while others wait in the main deque. Up to three more
/// may come from the next slot, so those that wait have one turn in 20.
const EXPRESS_STREAK_MAX: u32 = 16;
/// How long what waits here is looked for more often.
const LATELY: Duration = Duration::from_millis(10);
