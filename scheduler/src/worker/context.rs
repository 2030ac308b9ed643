//! The part of a worker that code running on it can reach.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::context::{PollContext, PollParts, RuntimeRef};
use crate::queue::LocalQueue;
use crate::task::{Task, TaskRegistry, WakeStamp};
use crate::wake::policy::{Action, Trigger, decide};
use crate::wheel::TimerQueue;
use crate::worker::shared::{Core, Remote};

pub(crate) struct Local {
    /// What lower layers reach of this worker.
    pub(crate) poll: Rc<PollContext>,
    core: Arc<Core>,
    remote: Arc<CachePadded<Remote>>,
    /// Where the tasks belong that are spawned here.
    registry: Arc<TaskRegistry>,
    pub(crate) queue: LocalQueue,
    pub(crate) calling: Cell<Calling>,
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
    pub(crate) fn new(
        runtime: RuntimeRef,
        core: Arc<Core>,
        registry: Arc<TaskRegistry>,
        index: usize,
        queue: LocalQueue,
    ) -> Self {
        let remote = Arc::clone(&core.workers[index]);
        let parts = PollParts {
            index,
            budget: core.budget,
            budget_yields: Arc::clone(&remote.counters.budget_yields),
            timers: Arc::clone(&remote.timers),
        };
        Local {
            poll: Rc::new(PollContext::new(runtime, parts)),
            core,
            remote,
            registry,
            queue,
            calling: Cell::new(Calling::RunningTask),
        }
    }

    pub(crate) fn registry(&self) -> &Arc<TaskRegistry> {
        &self.registry
    }

    pub(crate) fn index(&self) -> usize {
        self.poll.index()
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

    /// Before a sleep: no timer that was given up shall wake this worker, or keep its task in memory.
    pub(crate) fn tidy_timers(&self) {
        if let Some(entry) = self.poll.take_cached_timer() {
            entry.cancel();
        }
        self.timers().tidy();
    }

    /// Queues a task that became runnable on this worker. What is left to do is foreign code, before
    /// which the caller has to end its borrow of this.
    pub(crate) fn push(&self, task: Task, yielded: bool) -> Pushed {
        if self.poll.is_closing() {
            return Pushed::Refused(task);
        }
        let calling = self.calling.get();
        task.metadata().stamp_wake(WakeStamp::new(self.poll.now.get(), calling == Calling::Events));
        if calling != Calling::RunningTask {
            self.queue.push(task);
            return Pushed::Queued;
        }
        if yielded {
            // To the end of the queue: that is what yielding means.
            self.queue.push(task);
        } else {
            self.queue.push_next(&self.remote().queue, task, self.poll.now.get());
        }
        let (queued, estimate) = (self.queue.len(), self.remote().estimate());
        match decide(Trigger::OwnPush { queued, estimate }, &*self.core) {
            Action::None => Pushed::Queued,
            action => Pushed::Wake(Arc::clone(&self.core), action),
        }
    }

    /// Whether a task waits here: for the owner, which goes to sleep otherwise.
    pub(crate) fn has_work(&self) -> bool {
        self.queue.len() > 0 || self.remote().queue.next_is_filled()
    }
}
