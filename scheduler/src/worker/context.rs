//! The part of a worker that code running on it can reach.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::clock::{Instant, nanos};
use crate::context::{self, PollContext, PollParts, RuntimeContext, RuntimeRef};
use crate::fair::Account;
use crate::queue::LocalQueue;
use crate::task::{Task, TaskRegistry};
use crate::wake::Claim;
use crate::wake::policy::Trigger;
use crate::worker::shared::Shared;
use crate::worker::worker_shared::WorkerShared;

pub(crate) struct WorkerContext {
    /// What lower layers reach of this worker.
    pub(crate) poll: Rc<PollContext>,
    shared: Arc<Shared>,
    /// That of `shared`, at hand.
    runtime: Arc<RuntimeContext>,
    own: Arc<CachePadded<WorkerShared>>,
    /// Where the tasks belong that are spawned here.
    registry: Arc<TaskRegistry>,
    pub(crate) queue: LocalQueue,
    pub(crate) wake_source: Cell<WakeSource>,
    /// When it is looked next at whose time this is.
    sample_at: Cell<Instant>,
}

/// Time between two looks at whose time it is, on average.
const TIME_BETWEEN_SAMPLES: Duration = Duration::from_millis(1);

/// Whose wakers the worker calls at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeSource {
    /// What becomes runnable was woken by the running task.
    RunningTask,
    /// A batch of timers fired: their tasks go to the deque, and one decision about waking other workers
    /// is made after all of them.
    Timers,
    /// As with timers, and the wakes are marked as those of events.
    Events,
    /// The main future of a current-thread runtime: what becomes runnable goes to the end of the deque.
    /// So does the main task when the future wakes itself, which is how it yields.
    MainFuture,
}

/// What becomes of a task that is pushed.
#[must_use]
pub(crate) enum Pushed {
    Queued,
    /// It is queued, and what waits in the deque behind the poll under way is worth the wake of this
    /// worker.
    Wake(Arc<Shared>, Claim),
}

impl WorkerContext {
    pub(crate) fn new(
        runtime: RuntimeRef,
        shared: Arc<Shared>,
        registry: Arc<TaskRegistry>,
        index: usize,
        queue: LocalQueue,
    ) -> Self {
        let own = Arc::clone(&shared.workers[index]);
        let parts = PollParts {
            index,
            budget: shared.budget,
            budget_yields: Arc::clone(&own.counters.budget_yields),
            timers: Arc::clone(&own.timers),
        };
        WorkerContext {
            poll: Rc::new(PollContext::new(runtime, parts)),
            runtime: Arc::clone(&shared.context),
            shared,
            own,
            registry,
            queue,
            wake_source: Cell::new(WakeSource::RunningTask),
            sample_at: Cell::new(Instant::ZERO),
        }
    }

    pub(crate) fn registry(&self) -> &Arc<TaskRegistry> {
        &self.registry
    }

    /// What a task is charged to that is spawned here: the same as the task that spawns it.
    #[inline]
    pub(crate) fn account(&self) -> Account {
        match self.wake_source.get() {
            WakeSource::RunningTask => self.poll.account(),
            // Spawned by a waker, or by the main future, as from any other thread.
            WakeSource::Timers | WakeSource::Events | WakeSource::MainFuture => Account::new(),
        }
    }

    /// Charges what the running task has done since it was charged last to its account.
    #[inline]
    pub(crate) fn charge(&self, now: Instant) {
        let (account, length) = (self.poll.account(), self.poll.take_uncharged(now));
        self.own.attained.charge(account, now, length);
        if now >= self.sample_at.get() {
            self.sample_usage(account, now, length);
        }
    }

    /// The running task is charged to `account` from now on. Not a task that begins now: it has no time yet.
    pub(crate) fn change_account(&self, account: Account) {
        if self.poll.account() != account {
            self.charge(self.runtime.clock.now());
            context::set_account(account);
        }
    }

    /// Takes note of whose the last `length` nanoseconds were, if a look falls into them. The looks are about a
    /// millisecond apart, and not in step with what is done once in a millisecond.
    #[cold]
    fn sample_usage(&self, account: Account, now: Instant, length: u64) {
        let between = nanos(TIME_BETWEEN_SAMPLES);
        let random = now.as_nanos().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let part = Duration::from_nanos((random * between) >> 32);
        let (begun, planned) = (now - Duration::from_nanos(length), self.sample_at.get());
        // A look that was to be before them found no poll. The next is as likely at any time from there.
        let look = if planned < begun { begun + part } else { planned };
        if now < look {
            self.sample_at.set(look);
            return;
        }
        self.shared.usage.add(account, 1 + now.nanos_since(look) / between, now);
        self.sample_at.set(now + TIME_BETWEEN_SAMPLES / 2 + part);
    }

    pub(crate) fn shared_address(&self) -> *const () {
        Arc::as_ptr(&self.shared).cast()
    }

    /// Before a wait: no timer that was given up shall wake this worker, or keep its task in memory.
    pub(crate) fn purge_timers(&self) {
        if let Some(entry) = self.poll.take_cached_timer() {
            entry.cancel();
        }
        self.own.timers.purge();
    }

    /// Queues a task that became runnable on this worker. What is left to do is foreign code, before
    /// which the caller has to end its borrow of this.
    pub(crate) fn push(&self, task: Task, yielded: bool) -> Pushed {
        if self.runtime.is_closing() {
            // Not dropped in the wake, whose caller may hold a lock that the drop needs: h2 wakes under
            // one. The worker drops it when its turn ends, or the shutdown does.
            self.queue.push(task);
            return Pushed::Queued;
        }
        let (wake_source, now) = (self.wake_source.get(), self.poll.now.get());
        let by_event = wake_source == WakeSource::Events;
        // A task that yields is the one whose poll ends here: it may have changed its account.
        let account = match yielded {
            true => self.poll.account(),
            false => task.metadata().woken().account(),
        };
        task.metadata().stamp_wake(now, by_event, account);
        match wake_source {
            WakeSource::RunningTask => {}
            WakeSource::Timers | WakeSource::Events => {
                self.enqueue(task, now);
                return Pushed::Queued;
            }
            WakeSource::MainFuture => {
                self.queue.push(task);
                return Pushed::Queued;
            }
        }
        if yielded {
            // To the end of the queue: that is what yielding means.
            self.queue.push(task);
        } else if let Some(displaced) = self.queue.push_next(&self.own.queue, task, now) {
            self.enqueue(displaced, now);
        }
        let (queued, estimate) = (self.queue.len(), self.own.estimate());
        let (trigger, shared) = (Trigger::OwnPush { queued, estimate }, &*self.shared);
        match shared.sleep.notify_without_fence(trigger, shared) {
            None => Pushed::Queued,
            Some(claim) => Pushed::Wake(Arc::clone(&self.shared), claim),
        }
    }

    /// Queues a task behind those that wait, or behind the light ones of them if it is light.
    #[inline]
    fn enqueue(&self, task: Task, now: Instant) {
        match self.own.attained.is_light(task.metadata().woken().account()) {
            true => self.queue.push_light(&self.own.queue, task, now),
            false => self.queue.push(task),
        }
    }

    /// A batch of wakers was called here: what is decided about waking another worker.
    pub(crate) fn batch(&self) -> Trigger {
        Trigger::Batch { queued: self.queue.len(), estimate: self.own.estimate() }
    }

    /// Whether a task waits here: for the owner, which becomes idle otherwise.
    pub(crate) fn has_work(&self) -> bool {
        self.queue.len() > 0 || self.own.queue.next_is_filled()
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::park::Idle;
    use crate::worker::shared::tests::on_park;

    /// Failure: a look that fell into an idle time was charged to the first poll behind it. So a probe of some
    /// microseconds every few milliseconds was heavier than the bulk by which its worker became busy.
    #[test]
    fn idle_time_is_sampled_for_no_account() {
        let (local, queue) = crate::queue::queue();
        let shared = Arc::new(on_park(Idle::new(), Clock::manual().0, vec![queue]));
        let runtime = RuntimeRef::new(Arc::clone(&shared.context), Arc::new(()));
        let registry = TaskRegistry::new(0, 1, Arc::clone(&shared) as _);
        let worker = WorkerContext::new(runtime, Arc::clone(&shared), registry, 0, local);
        let poll = |account, start: Instant, length| {
            worker.poll.now.set(start);
            worker.poll.begin_poll(account);
            worker.charge(start + length);
            start + length
        };
        let [probe, bulk] = [(); 2].map(|()| Account::new());
        let mut now = Instant::from_nanos(1_000_000_000);
        for _ in 0..200 {
            now = poll(probe, now + Duration::from_millis(4), Duration::from_micros(10));
        }
        for _ in 0..100 {
            now = poll(bulk, now, Duration::from_micros(500));
        }
        let is_heavy = [probe, bulk].map(|account| shared.usage.is_heavy(account, now));
        assert_eq!(is_heavy, [false, true]);
    }
}
