//! A snapshot of what a runtime does now and has done so far.

use std::panic::Location;
use std::time::Duration;

use super::HistogramSnapshot;
use crate::fair::Account;

/// A snapshot of a runtime; see [`Handle::metrics`](crate::Handle::metrics).
///
/// Counts are since the start. They are read one after the other while the workers go on, so two
/// of them may differ by what happened in between. In a build without the feature `metrics` counts
/// and histograms are empty; the present state and overload are reported all the same.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// The metrics of each worker.
    pub workers: Vec<WorkerMetrics>,
    /// Workers that wait on a shard now.
    pub listening: usize,
    /// Workers that are parked now.
    pub parked: usize,
    /// Tasks that wait in the injector now.
    pub injector_depth: usize,
    /// How long the oldest runnable task has waited now, over all deques, next slots and the
    /// injector. Zero while nothing waits.
    ///
    /// An upper bound: a deque is taken to be as old as the task that was taken from it last, which
    /// was woken before all that are left. A task that came into a deque from a next slot or the
    /// injector, behind younger ones, may be older by what it waited there: a poll, or as long as a
    /// worker with work of its own lets the injector wait. Events that still wait in the kernel are not
    /// included; see [`event_queue_delay`](Metrics::event_queue_delay).
    pub oldest_runnable: Duration,
    /// Wakes that the monitor sent because work waited that no awake worker took.
    pub rescues: u64,
    /// Whether what arrives waits too long: [`Handle::is_overloaded`](crate::Handle::is_overloaded).
    pub overloaded: bool,
    /// Tasks that have not ended.
    pub tasks_alive: usize,
    /// Tasks spawned.
    pub tasks_spawned: u64,
    /// Panics of tasks: in a poll, or while a future was dropped.
    pub task_panics: u64,
    /// Panics of other foreign code that were caught: of wakers, hooks, and the
    /// [`Park`](crate::Park).
    pub caught_panics: u64,
    /// Tasks refused because a bound on live tasks was reached.
    pub tasks_refused: u64,
    /// Timers that are armed now.
    pub timers: usize,
    /// Times a timer found its queue full and its task was woken to try again.
    pub timers_refused: u64,
    /// Threads of the blocking pool now. Look-ups of names are counted apart, below.
    pub blocking_threads: usize,
    /// Blocking work that waits for a thread now.
    pub blocking_queue_depth: usize,
    /// Blocking work refused because a bound was reached, or because there was no thread at all.
    pub blocking_refused: u64,
    /// How long the oldest of the waiting blocking work has waited.
    pub blocking_oldest: Duration,
    /// Threads for look-ups of names now.
    pub lookup_threads: usize,
    /// Look-ups that wait for a thread now.
    pub lookup_queue_depth: usize,
    /// Look-ups refused because a bound was reached, or because there was no thread at all.
    pub lookup_refused: u64,
    /// How long the oldest of the waiting look-ups has waited.
    pub lookup_oldest: Duration,
    /// The eight accounts at most that attained most lately, heaviest first: what half of the time counts after
    /// 8.4 ms, a quarter after 16.8 ms, and so on, summed over the workers.
    pub heaviest_accounts: Vec<AccountLoad>,
    /// Length of each poll.
    pub task_poll: HistogramSnapshot,
    /// From the wake of a task to its run: how long it waited for a worker.
    pub task_wait: HistogramSnapshot,
    /// The same for tasks that do not wait behind others: those of accounts that attained little lately, and of the
    /// weight [`FIRST`](crate::Weight::FIRST). One that another worker has stolen is not included.
    pub express_wait: HistogramSnapshot,
    /// The same as `task_wait` for tasks that an event woke, from the harvest on. The time that the event waited in the
    /// kernel before is not included.
    pub event_to_run: HistogramSnapshot,
    /// How long a probe waited behind the events of its shard. One is sent every 10 ms or so while
    /// every worker is busy, so this is what events wait in the kernel when that is long. With a
    /// [`Park`](crate::Park) that hands wakes out before events it is less than they wait.
    pub event_queue_delay: HistogramSnapshot,
    /// How many events one poll of a shard returned, where it returned any.
    pub harvest_size: HistogramSnapshot,
    /// From a deadline, rounded up to a tick of 62.5 µs, to the firing of its timer.
    pub timer_lateness: HistogramSnapshot,
    /// From the queueing of blocking work to its start.
    pub blocking_wait: HistogramSnapshot,
    /// From the queueing of a look-up to its start.
    pub lookup_wait: HistogramSnapshot,
}

/// What an account attained lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountLoad {
    /// Without its weight, which each task of the account may have another of: compare the
    /// [`index`](Account::index).
    pub account: Account,
    /// The time, divided by the weight. An account that has a worker to itself attains 8.4 to 16.8 ms.
    pub attained: Duration,
}

impl AccountLoad {
    pub(crate) fn new((account, nanos): (Account, u64)) -> AccountLoad {
        AccountLoad { account, attained: Duration::from_nanos(nanos) }
    }
}

/// The metrics of one worker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Tasks polled.
    pub polls: u64,
    /// Time spent in polls.
    pub busy: Duration,
    /// Of the polls, those of tasks that do not wait behind others; see [`Metrics::express_wait`].
    pub express_polls: u64,
    /// The time spent in those.
    pub express_busy: Duration,
    /// Times it waited on a shard.
    pub listens: u64,
    /// Times it was parked.
    pub parks: u64,
    /// Looks into a shard without waiting.
    pub shard_polls: u64,
    /// Events taken, stale and spurious ones included.
    pub events: u64,
    /// Events whose source was gone.
    pub stale_events: u64,
    /// Events without news for a source on which no task waited.
    pub spurious_events: u64,
    /// Wakes after which it found work.
    pub useful_wakes: u64,
    /// Wakes after which it found none.
    pub empty_wakes: u64,
    /// Attempts to steal that brought a task.
    pub steal_hits: u64,
    /// Attempts to steal that found no task.
    pub steal_misses: u64,
    /// Tasks stolen from others.
    pub stolen_tasks: u64,
    /// Polls ended because the budget was spent.
    pub budget_yields: u64,
    /// Timers fired; those that a move of a [manual clock](crate::time::ManualClock) fires count for no worker.
    pub timers_fired: u64,
    /// Waits for events that failed.
    pub shard_errors: u64,
    /// Polls longer than half a millisecond at times when such polls are found to hold up their
    /// workers: they block or compute. Asking the system about each would cost too much, so this
    /// counts all polls of the second after the monitor has found one.
    pub long_polls: u64,
    /// Polls as long at other times: presumably the system did not run the thread, as there are more busy
    /// threads than CPUs. The first polls that block are counted here, too.
    pub preempted_polls: u64,
    /// Turns that panicked, by a fault of the [`Park`](crate::Park) or of this crate. The worker goes on
    /// with the next turn.
    pub recoveries: u64,
    /// Tasks in its deque now.
    pub queue_depth: usize,
    /// Its estimate of one poll.
    pub estimate: Duration,
    /// The poll under way.
    pub current_poll: Option<CurrentPoll>,
}

/// A poll under way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CurrentPoll {
    /// How long it has taken so far.
    pub elapsed: Duration,
    /// Name of the task, or `unnamed`.
    pub task: String,
    /// Where the task was spawned. `None` if it ended while the snapshot was taken.
    pub spawned_at: Option<&'static Location<'static>>,
}
