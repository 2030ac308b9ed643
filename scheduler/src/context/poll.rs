//! What the lower layers know of a worker and of the poll that it runs.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::runtime::{RuntimeContext, RuntimeRef};
use crate::clock::{Instant, nanos};
use crate::fair::Account;
use crate::metrics::Counter;
use crate::wheel::{CachedEntry, TimerQueue};

/// The part of a worker that the code of a poll reaches: the time, the budget, the timers.
pub(crate) struct PollContext {
    runtime: RuntimeRef,
    index: usize,
    /// The time at the last poll boundary.
    pub(crate) now: Cell<Instant>,
    /// What the current poll is charged to.
    account: Cell<Account>,
    /// What it was charged to when it began.
    began_on: Cell<Account>,
    /// Until when it is charged.
    charged_until: Cell<Instant>,
    /// Operations the current poll has left until it looks at the clock,
    budget: Cell<u32>,
    /// and behind that look.
    behind_look: Cell<u32>,
    /// Operations each poll begins with.
    full_budget: u32,
    /// Polls that ended because the budget was spent.
    budget_yields: Arc<CachePadded<Counter>>,
    timers: Arc<TimerQueue>,
    /// The entry of the timer that was given up here last, for the one that is armed next.
    cached_timer: Cell<Option<CachedEntry>>,
}

/// What a worker gives to the code that it polls.
pub(crate) struct PollParts {
    pub(crate) index: usize,
    pub(crate) budget: u32,
    pub(crate) budget_yields: Arc<CachePadded<Counter>>,
    pub(crate) timers: Arc<TimerQueue>,
}

/// What comes of asking for an operation.
pub(crate) enum Spent<T> {
    /// It may be done; this is known of the poll.
    Proceed(T),
    /// The budget of the poll is used up.
    Exhausted,
    /// The runtime shuts down, and with it what waits.
    Closing,
}

/// What is known of the poll under way; made by [`coop::poll_info`](crate::coop::poll_info).
///
/// It is good for that poll. Kept longer, it is only out of date.
#[derive(Clone, Copy, Debug)]
pub struct PollInfo {
    now: Instant,
    /// The address of the worker's runtime, and the worker's number in it. Off the workers the
    /// address is 0, which no runtime has.
    runtime: usize,
    worker: usize,
}

impl PollContext {
    pub(crate) fn new(runtime: RuntimeRef, parts: PollParts) -> PollContext {
        PollContext {
            now: Cell::new(runtime.context().clock.now()),
            runtime,
            index: parts.index,
            account: Cell::new(Account::NONE),
            began_on: Cell::new(Account::NONE),
            charged_until: Cell::new(Instant::ZERO),
            budget: Cell::new(0),
            behind_look: Cell::new(0),
            full_budget: parts.budget,
            budget_yields: parts.budget_yields,
            timers: parts.timers,
            cached_timer: Cell::new(None),
        }
    }

    #[inline]
    pub(crate) fn runtime(&self) -> &RuntimeRef {
        &self.runtime
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn timers(&self) -> &Arc<TimerQueue> {
        &self.timers
    }

    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.context().is_closing()
    }

    /// The poll under way, as seen by its code.
    #[inline]
    pub(crate) fn info(&self) -> PollInfo {
        PollInfo { now: self.now.get(), runtime: self.context().address(), worker: self.index }
    }

    /// Takes one operation from the budget, and tells what `then` finds if there was one left.
    #[inline]
    pub(crate) fn spend<T>(&self, then: impl FnOnce(&PollContext) -> T) -> Spent<T> {
        if self.is_closing() {
            return Spent::Closing;
        }
        let left = self.budget.get().checked_sub(1).or_else(|| self.look_at_clock());
        match left {
            Some(left) => {
                self.budget.set(left);
                Spent::Proceed(then(self))
            }
            None => {
                self.budget_yields.add(1);
                Spent::Exhausted
            }
        }
    }

    /// The next operations of the budget, less one that is spent; `None` if there are none, or if the poll has
    /// taken its time.
    #[cold]
    fn look_at_clock(&self) -> Option<u32> {
        let behind = self.behind_look.get();
        if behind == 0 {
            return None;
        }
        if self.context().clock.now().nanos_since(self.now.get()) >= nanos(BUDGET_TIME) {
            self.behind_look.set(0);
            return None;
        }
        let next = behind.min(OPERATIONS_BETWEEN_LOOKS);
        self.behind_look.set(behind - next);
        Some(next - 1)
    }

    /// A poll begins, which is charged to `account`.
    #[inline]
    pub(crate) fn begin_poll(&self, account: Account) {
        let first = self.full_budget.min(OPERATIONS_BETWEEN_LOOKS);
        self.budget.set(first);
        self.behind_look.set(self.full_budget - first);
        self.account.set(account);
        self.began_on.set(account);
        self.charged_until.set(self.now.get());
    }

    /// How long the poll has run until `now` since it was charged, in nanoseconds. It is charged until then.
    #[inline]
    pub(crate) fn take_uncharged(&self, now: Instant) -> u64 {
        now.nanos_since(self.charged_until.replace(now))
    }

    /// Whether the poll is charged to another account than when it began.
    pub(crate) fn has_changed_account(&self) -> bool {
        self.account.get() != self.began_on.get()
    }

    /// What the poll is charged to.
    #[inline]
    pub(crate) fn account(&self) -> Account {
        self.account.get()
    }

    /// Charges the poll to `account`. Returns what it was charged to before.
    pub(crate) fn set_account(&self, account: Account) -> Account {
        self.account.replace(account)
    }

    /// Gives an operation back to the budget, which never has more than it began with.
    pub(crate) fn restore(&self) {
        let most = self.full_budget - self.behind_look.get();
        self.budget.set(self.budget.get().saturating_add(1).min(most));
    }

    /// How many operations are left of the budget.
    pub(crate) fn operations_left(&self) -> u32 {
        self.budget.get() + self.behind_look.get()
    }

    /// Takes so many operations from the budget, or those that are left.
    pub(crate) fn charge(&self, operations: u32) {
        let budget = self.budget.get();
        self.budget.set(budget.saturating_sub(operations));
        let more = operations.saturating_sub(budget);
        self.behind_look.set(self.behind_look.get().saturating_sub(more));
    }

    /// Keeps a timer's entry for the next timer. Gives back what has to be cancelled instead: the one
    /// kept before, or this one if it is in another's queue.
    #[inline]
    pub(crate) fn cache_timer(&self, entry: CachedEntry) -> Option<CachedEntry> {
        if self.timers.owns(&entry.chunk) {
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

    #[inline]
    fn context(&self) -> &RuntimeContext {
        self.runtime.context()
    }
}

/// A poll has no further operation once it has taken so long: twice what is worth the wake of a worker. A
/// task that is queued again costs about a hundredth of that.
const BUDGET_TIME: Duration = Duration::from_micros(100);
/// A look at the clock costs about as much as the cheapest operation. One in so many costs less than can be
/// measured, and a poll of a request has fewer.
const OPERATIONS_BETWEEN_LOOKS: u32 = 16;

impl PollInfo {
    pub(crate) fn off_the_workers(now: Instant) -> PollInfo {
        PollInfo { now, runtime: 0, worker: 0 }
    }

    /// When the poll began; see [`Instant::of_poll`].
    #[inline]
    pub fn now(self) -> Instant {
        self.now
    }

    /// The number of the worker, if it is one of this runtime.
    #[inline]
    pub(crate) fn worker_of(self, runtime: &RuntimeContext) -> Option<usize> {
        (self.runtime == runtime.address()).then_some(self.worker)
    }
}
