//! The part of a worker that code running on it can reach.

use std::cell::Cell;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::clock::{Clock, Instant};
use crate::context::Spent;
use crate::coop::Step;
use crate::queue::LocalQueue;
use crate::runtime::Handle;
use crate::task::{Task, TaskRegistry, WakeStamp};
use crate::wake::policy::{Action, Trigger, decide};
use crate::wheel::{CachedEntry, TimerQueue};
use crate::worker::shared::{Core, Remote};

pub(crate) struct Local {
    handle: Handle,
    core: Arc<Core>,
    remote: Arc<CachePadded<Remote>>,
    index: usize,
    pub(crate) queue: LocalQueue,
    pub(crate) calling: Cell<Calling>,
    /// Operations the current poll has left.
    budget: Cell<u32>,
    /// The time at the last poll boundary.
    pub(crate) now: Cell<Instant>,
    /// The entry of the timer that was given up here last, for the one that is armed next.
    cached_timer: Cell<Option<CachedEntry>>,
}

/// Whose wakers the worker calls at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calling {
    /// What becomes runnable was woken by the running task.
    RunningTask,
    /// A batch of timers fired: their tasks go to the deque, and one decision about waking others
    /// is made after all of them.
    Timers,
    /// As with timers, and the wakes are marked as those of events.
    Events,
}

/// What becomes of a task that is pushed.
#[must_use]
pub(crate) enum Pushed {
    Queued,
    /// It is queued, and what waits in the deque behind the poll under way is worth this action.
    Wake(Arc<Core>, Action),
    /// The runtime closes: it is to be dropped.
    Refused(Task),
}

impl Local {
    pub(crate) fn new(handle: Handle, core: Arc<Core>, index: usize, queue: LocalQueue) -> Self {
        let now = core.clock.now();
        Local {
            handle,
            remote: Arc::clone(&core.workers[index]),
            core,
            index,
            queue,
            calling: Cell::new(Calling::RunningTask),
            budget: Cell::new(0),
            now: Cell::new(now),
            cached_timer: Cell::new(None),
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where the tasks belong that are spawned here.
    pub(crate) fn registry(&self) -> &Arc<TaskRegistry> {
        self.handle.worker_registry(self.index)
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn core_address(&self) -> *const () {
        Arc::as_ptr(&self.core).cast()
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(crate) fn timers(&self) -> &Arc<TimerQueue> {
        &self.remote().timers
    }

    /// Keeps a timer's entry for the next timer. Gives back what has to be cancelled instead: the one
    /// kept before, or this one if it is in another's queue.
    #[inline]
    pub(crate) fn cache_timer(&self, entry: CachedEntry) -> Option<CachedEntry> {
        if entry.is_in(self.timers()) {
            self.cached_timer.replace(Some(entry))
        } else {
            Some(entry)
        }
    }

    /// The entry that was kept.
    #[inline]
    pub(crate) fn take_cached_timer(&self) -> Option<CachedEntry> {
        self.cached_timer.take()
    }

    /// Before a sleep: no timer that was given up shall wake this worker, or keep its task in memory.
    pub(crate) fn tidy_timers(&self) {
        if let Some(entry) = self.take_cached_timer() {
            entry.cancel();
        }
        self.timers().tidy();
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// Queues a task that became runnable on this worker. What is left to do is foreign code, before
    /// which the caller has to end its borrow of this.
    pub(crate) fn push(&self, task: Task, yielded: bool) -> Pushed {
        if self.is_closing() {
            return Pushed::Refused(task);
        }
        let calling = self.calling.get();
        task.metadata().stamp_wake(WakeStamp::new(self.now.get(), calling == Calling::Events));
        if calling != Calling::RunningTask {
            self.queue.push(task);
            return Pushed::Queued;
        }
        if yielded {
            // To the end of the queue: that is what yielding means.
            self.queue.push(task);
        } else {
            self.queue.push_next(&self.remote().queue, task, self.now.get());
        }
        let (queued, estimate) = (self.queue.len(), self.remote().estimate());
        match decide(Trigger::OwnPush { queued, estimate }, &*self.core) {
            Action::None => Pushed::Queued,
            action => Pushed::Wake(Arc::clone(&self.core), action),
        }
    }

    /// The poll under way, as seen by what it does.
    #[inline]
    pub(crate) fn step(&self) -> Step {
        Step::on_worker(self.now.get(), self.core_address(), self.index)
    }

    pub(crate) fn refill_budget(&self) {
        self.budget.set(self.core.budget);
    }

    /// Takes one operation from the budget, and tells what `then` finds if there was one left.
    #[inline]
    pub(crate) fn spend<T>(&self, then: impl FnOnce(&Local) -> T) -> Spent<T> {
        if self.is_closing() {
            return Spent::Closing;
        }
        match self.budget.get().checked_sub(1) {
            Some(left) => {
                self.budget.set(left);
                Spent::Proceed(then(self))
            }
            None => {
                self.remote().counters.budget_yields.add(1);
                Spent::Exhausted
            }
        }
    }

    /// Gives an operation back to the budget, which never has more than it began with.
    pub(crate) fn restore(&self) {
        self.budget.set(self.budget.get().saturating_add(1).min(self.core.budget));
    }

    /// How many operations are left of the budget.
    pub(crate) fn operations_left(&self) -> u32 {
        self.budget.get()
    }

    /// Takes an operation from the budget if one is left.
    pub(crate) fn charge(&self) {
        self.budget.set(self.budget.get().saturating_sub(1));
    }

    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.core.closing()
    }

    /// Whether a task waits here: for the owner, which goes to sleep otherwise.
    pub(crate) fn has_work(&self) -> bool {
        self.queue.len() > 0 || self.remote().queue.next_is_filled()
    }
}
