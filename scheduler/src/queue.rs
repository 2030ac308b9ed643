//! A worker's ready tasks: a FIFO deque that others steal from, and one slot in front of it.
//!
//! FIFO, because the oldest task has waited longest; and because taking half of a FIFO deque is a
//! single CAS (crossbeam-deque), where a LIFO one takes a CAS a task.
//!
//! The *next slot* holds the task that a running task woke last. Running it next keeps a
//! conversation of two tasks in one cache. Nobody is woken for it and nobody steals it while it is
//! young; when its worker is held up by a long poll it ages, and is stolen like any other.

use std::cell::Cell;

use crossbeam_deque::{Steal, Stealer, Worker as Deque};
use crossbeam_utils::atomic::AtomicCell;

use crate::policy::{NEXT_IN_A_ROW, WORTH_A_WAKE, nanos};
use crate::sync::Injector;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::task::Task;
use crate::time::Instant;

/// The owner's side.
pub(crate) struct LocalQueue {
    deque: Deque<Task>,
    /// Tasks taken from the next slot since one was taken from elsewhere.
    row: Cell<u32>,
}

/// The side that other workers see.
pub(crate) struct SharedQueue {
    stealer: Stealer<Task>,
    next: AtomicCell<Option<Task>>,
    /// When the next slot was filled, in clock nanoseconds; 0 while it is empty. A hint: the slot
    /// itself decides who gets the task, so nothing has to be ordered with it.
    next_since: AtomicU64,
}

/// Both sides of a new, empty queue.
pub(crate) fn queue() -> (LocalQueue, SharedQueue) {
    let deque = Deque::new_fifo();
    let stealer = deque.stealer();
    (
        LocalQueue { deque, row: Cell::new(0) },
        SharedQueue { stealer, next: AtomicCell::new(None), next_since: AtomicU64::new(0) },
    )
}

impl LocalQueue {
    pub(crate) fn push(&self, task: Task) {
        self.deque.push(task);
    }

    /// Puts a task woken by a running task into the next slot; what was there goes to the deque.
    pub(crate) fn push_next(&self, shared: &SharedQueue, task: Task, now: Instant) {
        shared.next_since.store(now.as_nanos().max(1), Ordering::Relaxed);
        if let Some(displaced) = shared.next.swap(Some(task)) {
            self.deque.push(displaced);
        }
    }

    /// The next slot's task, unless it has been its turn too often while others wait.
    pub(crate) fn pop_next(&self, shared: &SharedQueue) -> Option<Task> {
        if shared.next_since.load(Ordering::Relaxed) == 0 {
            return None;
        }
        shared.next_since.store(0, Ordering::Relaxed);
        let task = shared.next.take()?;
        if self.row.get() < NEXT_IN_A_ROW || self.deque.is_empty() {
            self.row.set(self.row.get().saturating_add(1));
            return Some(task);
        }
        self.deque.push(task);
        None
    }

    /// The oldest task of the deque.
    pub(crate) fn pop(&self) -> Option<Task> {
        self.row.set(0);
        self.deque.pop()
    }

    /// Tasks that others may steal.
    pub(crate) fn len(&self) -> usize {
        self.deque.len()
    }

    /// Takes one task of the injector and up to `limit - 1` more into the deque.
    pub(crate) fn take_injected(&self, injector: &Injector<Task>, limit: usize) -> Option<Task> {
        until_decided(|| injector.steal_batch_with_limit_and_pop(&self.deque, limit))
    }

    /// Takes one task of another worker and up to `limit - 1` more, at most half of what it has.
    pub(crate) fn steal(&self, victim: &SharedQueue, limit: usize) -> Option<Task> {
        until_decided(|| victim.stealer.steal_batch_with_limit_and_pop(&self.deque, limit))
    }
}

impl SharedQueue {
    pub(crate) fn len(&self) -> usize {
        self.stealer.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stealer.is_empty()
    }

    /// Whether the next slot's task has waited longer than a wake is worth.
    pub(crate) fn next_has_aged(&self, now: Instant) -> bool {
        let since = self.next_since.load(Ordering::Relaxed);
        since != 0 && now.as_nanos().saturating_sub(since) > nanos(WORTH_A_WAKE)
    }

    /// Takes the next slot's task if it has aged.
    pub(crate) fn steal_aged_next(&self, now: Instant) -> Option<Task> {
        if !self.next_has_aged(now) {
            return None;
        }
        self.next.take()
    }

    /// Takes the next slot's task whatever its age; for the owner that leaves.
    pub(crate) fn take_next(&self) -> Option<Task> {
        self.next.take()
    }
}

fn until_decided(mut attempt: impl FnMut() -> Steal<Task>) -> Option<Task> {
    loop {
        match attempt() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            // Another thread won the race: it made progress, so this ends.
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
