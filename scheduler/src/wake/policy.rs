//! The decision about waking workers: a pure function, free of atomics, clock and runtime.
//!
//! Each place where a worker might have to be woken, or kept awake, asks [`decide`] and carries out
//! the [`Action`] that it returns. README.md has the decision as a table; `table.rs` compares the
//! two.

use super::counters::IdleCounts;
use super::estimate::Estimate;
use crate::clock::Instant;
use crate::mutant::{self, Mutant};

/// The event that a decision is made for, with what the asker holds in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A thread that is no worker of the runtime queued a task in the injector.
    ForeignSubmit,
    /// A timer armed off the workers is now the earliest of the shared timers.
    SharedTimer { deadline: Instant },
    /// The running task made a task runnable on its own worker, whose deque now holds `queued`.
    OwnPush { queued: usize, estimate: Estimate },
    /// A worker called the wakers of a batch of events or timers; its deque now holds `queued`.
    Batch { queued: usize, estimate: Estimate },
    /// Harvest after harvest of a worker took as many events as it may.
    FullHarvests,
    /// A poll took longer than `T`; the worker's deque now holds `queued`.
    LongPoll { queued: usize },
    /// A woken worker found work and has released the wake permit.
    PermitReleased { now: Instant },
    /// The monitor looks for work that no worker comes to.
    MonitorTick { now: Instant },
    /// The monitor found no such work; it asks for a second listener.
    MonitorStandby { now: Instant },
    /// `worker` has announced that it is idle and is about to wait.
    LastLook { worker: usize, now: Instant },
    /// The runtime shuts down.
    Shutdown,
}

/// What the asker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the asker carries the action out"]
pub(crate) enum Action {
    /// Wakes no worker. A worker that is about to wait, waits.
    None,
    /// Takes the wake permit and unparks the worker that parked last.
    UnparkOne,
    /// Takes the wake permit and notifies a listener of the shard with the most listeners.
    NotifyListener,
    /// Does not wait, but searches again.
    KeepSearching,
    /// Unparks every worker.
    UnparkAll,
}

/// The shared state that a decision may depend on.
///
/// [`decide`] reads each fact at most once, and only if the decision depends on it, so a runtime
/// answers from live state and a decision costs the loads that it needs. A simulation or a test
/// answers from plain values.
pub(crate) trait Snapshot {
    fn idle(&self) -> IdleCounts;

    /// The earliest deadline of the shared timers that a waiting worker waits for.
    fn watched_deadline(&self) -> Instant;

    fn injector_has_tasks(&self) -> bool;

    fn shared_timer_is_due(&self, now: Instant) -> bool;

    /// Whether a worker has more queued than it should do alone, or is stuck before due work.
    fn worker_needs_help(&self, now: Instant) -> bool;

    /// Whether a worker other than `worker` has anything that `worker` could take.
    fn can_steal(&self, worker: usize, now: Instant) -> bool;

    /// Whether a shard without a listener has events.
    fn uncovered_shard_is_ready(&self) -> bool;

    /// Whether long polls have been seen lately.
    fn is_in_long_poll_mode(&self, now: Instant) -> bool;

    fn workers(&self) -> usize;

    /// How many workers can run at once.
    fn cpus(&self) -> usize;

    /// How many workers may listen on one shard.
    fn max_waiters(&self) -> usize;

    fn is_closing(&self) -> bool;
}

/// What is to be done about `trigger`.
///
/// Always inline: each asker's trigger is known where it asks, so its own row is all that is left there.
#[inline(always)]
pub(crate) fn decide(trigger: Trigger, snapshot: &impl Snapshot) -> Action {
    match trigger {
        Trigger::ForeignSubmit => wake(snapshot.idle()),
        Trigger::SharedTimer { deadline } => {
            wake_if(snapshot, || deadline < snapshot.watched_deadline())
        }
        Trigger::OwnPush { queued, estimate } => match estimate.worth_a_wake(queued) {
            true => wake(snapshot.idle()),
            false => Action::None,
        },
        Trigger::Batch { queued, estimate } => {
            behind_next(queued, snapshot, |behind| estimate.worth_a_wake(behind))
        }
        Trigger::FullHarvests => full_harvests(snapshot),
        Trigger::LongPoll { queued } => behind_next(queued, snapshot, |behind| behind > 0),
        Trigger::PermitReleased { now } => wake_if(snapshot, || {
            has_unserved_work(snapshot, now)
                || snapshot.is_in_long_poll_mode(now) && snapshot.uncovered_shard_is_ready()
        }),
        Trigger::MonitorTick { now } => wake_if(snapshot, || {
            has_unserved_work(snapshot, now) || snapshot.uncovered_shard_is_ready()
        }),
        Trigger::MonitorStandby { now } => standby(snapshot, now),
        Trigger::LastLook { worker, now } => last_look(worker, now, snapshot),
        Trigger::Shutdown => Action::UnparkAll,
    }
}

/// Which of the idle workers to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Parked,
    Listener,
}

/// Which idle worker to wake. `None` if no worker is idle, or the permit is out.
#[inline]
pub(super) fn target(idle: IdleCounts) -> Option<Target> {
    if idle.permit_is_out() {
        None
    } else if idle.parked() > 0 {
        Some(Target::Parked)
    } else if idle.listening() > 0 {
        Some(Target::Listener)
    } else {
        None
    }
}

/// Wakes an idle worker, if one may be woken.
#[inline]
fn wake(idle: IdleCounts) -> Action {
    match target(idle) {
        Some(Target::Parked) => Action::UnparkOne,
        Some(Target::Listener) => Action::NotifyListener,
        None => Action::None,
    }
}

/// As [`wake`], if the wake is `due`, which is asked only if a worker may be woken.
#[inline]
fn wake_if(snapshot: &impl Snapshot, due: impl FnOnce() -> bool) -> Action {
    let action = wake(snapshot.idle());
    if action != Action::None && due() { action } else { Action::None }
}

/// As [`wake`], if what is queued behind the task that runs next is `worth_it`. Where no worker
/// listens the next task counts too: while it runs no worker sees an event.
#[inline]
fn behind_next(
    queued: usize,
    snapshot: &impl Snapshot,
    worth_it: impl FnOnce(usize) -> bool,
) -> Action {
    if queued == 0 {
        return Action::None;
    }
    let idle = snapshot.idle();
    let behind = if idle.listening() == 0 { queued } else { queued - 1 };
    if worth_it(behind) { wake(idle) } else { Action::None }
}

/// As [`wake`], if events wait that no listener sees. A worker that is awake beyond the number of CPUs
/// would take its time from the others.
fn full_harvests(snapshot: &impl Snapshot) -> Action {
    let idle = snapshot.idle();
    let action = wake(idle);
    if action == Action::None {
        return Action::None;
    }
    let awake = snapshot.workers().saturating_sub(idle.all());
    match awake < snapshot.cpus() && snapshot.uncovered_shard_is_ready() {
        true => action,
        false => Action::None,
    }
}

/// Whether work waits that no awake worker is known to come to soon.
fn has_unserved_work(snapshot: &impl Snapshot, now: Instant) -> bool {
    snapshot.injector_has_tasks()
        || snapshot.shared_timer_is_due(now)
        || snapshot.worker_needs_help(now)
}

/// In long-poll mode one parked worker listens beside the listener that may be held up next.
fn standby(snapshot: &impl Snapshot, now: Instant) -> Action {
    let idle = snapshot.idle();
    let is_missing = idle.listening() < 2 && idle.parked() > 0 && snapshot.max_waiters() > 1;
    match is_missing && snapshot.is_in_long_poll_mode(now) {
        true => wake(idle),
        false => Action::None,
    }
}

fn last_look(worker: usize, now: Instant, snapshot: &impl Snapshot) -> Action {
    let found = snapshot.injector_has_tasks()
        || snapshot.shared_timer_is_due(now)
        || snapshot.can_steal(worker, now)
        || snapshot.is_closing();
    if found { Action::KeepSearching } else { Action::None }
}

/// Which shard a worker that found nothing listens on, and its listeners: the shard with the fewest.
/// `None` if the worker is to park.
///
/// A shard without a listener is always taken: if every other worker parks, its events are this
/// worker's. Otherwise up to `cap` workers listen, at most `max_waiters` on a shard.
#[inline]
pub(super) fn shard_to_join(
    listeners: impl Iterator<Item = usize>,
    max_waiters: usize,
    cap: usize,
    idle: impl FnOnce() -> IdleCounts,
) -> Option<(usize, usize)> {
    let (shard, waiting) = listeners.enumerate().min_by_key(|&(_, waiting)| waiting)?;
    let uncovered = waiting == 0 && !mutant::on(Mutant::LeaveShardEmpty);
    let joins = uncovered || waiting < max_waiters && idle().listening() < cap;
    joins.then_some((shard, waiting))
}

/// Which shard to notify: the one with the most listeners, so that the one left has others.
#[inline]
pub(super) fn shard_to_notify(listeners: impl Iterator<Item = usize>) -> Option<usize> {
    let waiting = listeners.enumerate().filter(|&(_, waiting)| waiting > 0);
    waiting.max_by_key(|&(_, waiting)| waiting).map(|(shard, _)| shard)
}

/// How many idle workers may listen, the others being parked. In long-poll mode a second one stands
/// by.
#[inline]
pub(crate) fn listener_cap(estimate: Estimate, workers: usize, in_long_poll_mode: bool) -> usize {
    estimate.listener_cap(workers, if in_long_poll_mode { 2 } else { 1 })
}
