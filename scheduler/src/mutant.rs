//! Faults that the loom models have to catch, each switched on in the process of one model.
//!
//! In every ordinary build [`on`] is a constant `false` and costs nothing. `heist-mutant` selects the one
//! that is on in a model.

/// A defence taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "some are built into a model's own loop, not into the code")]
pub(crate) enum Mutant {
    /// A worker parks although a shard has no listener.
    LeaveShardEmpty,
    /// A thread that found no worker to wake does not count again when it releases the permit.
    NoSecondCount,
    /// A shard is notified without looking whether its listener has left meanwhile.
    NotifyBlindly,
    /// A worker does not look once more after announcing that it is idle.
    NoLastLook,
    /// The last look of a worker that becomes idle leaves out the express queues.
    ExpressUnseen,
    /// A submitter decides about a wake without a fence behind its work.
    NoFenceBeforeDecision,
    /// A worker that releases the permit decides without a fence behind the release.
    NoFenceBehindRelease,
    /// A worker that releases the permit does not look at the queues afterwards.
    NoLookAfterRelease,
    /// The monitor does not look after saying that it dozes.
    MonitorBlind,
    /// A worker that found work in its last look does not tell the monitor's state.
    UnparkUnsaid,
    /// The last worker to become idle does not have the monitor's timer put off.
    AllIdleUnsaid,
    /// A thread that sets the monitor's timer does not look whether that was to fire at once.
    MonitorTimerPutOff,
    /// An abort does not count itself as pending, so that no worker looks for its flag.
    AbortUncounted,
    /// A task that was flagged before its first wait waits all the same.
    WaitsUnflagged,
    /// A task that first waits while its registry closes is not woken.
    WaitsThroughClosing,
    /// The flag is read while the task still counts as queued.
    AbortSeenEarly,
    /// A thread that queues a task does not check afterwards whether the runtime closes.
    ScheduleBlindly,
    /// A fired timer entry is free at once, although its timer has not handed it back.
    FreeOnFire,
    /// A poll with another waker replaces the waker of a timer entry and relies on the entry being
    /// filed still.
    ReplaceUnfiled,
    /// A run whose time is before the deadline trusts the timer without a look at its entry.
    TrustUnfiled,
    /// A cancelled timer entry is on the stack before it is linked to the one below.
    LinkAfterPush,
    /// A thread that stops running the tasks of a current-thread runtime tells no other one.
    CoreUnsaid,
    /// It tells the others before the core is back in its slot.
    CoreBehindUnpark,
    /// It tells one of the others only.
    CoreSaidToOne,
    /// A thread that injects into a closing runtime looks for drainers without a fence behind its push.
    NoFenceBeforeDrainers,
    /// A drainer does not look into the injector when it has left.
    DrainerLeavesBlindly,
    /// A clock that is moved by hand does not lock a queue of timers in which nothing is due.
    MoveUnlocked,
}

#[cfg(not(heist_loom))]
pub(crate) const fn on(_: Mutant) -> bool {
    false
}

#[cfg(heist_loom)]
pub(crate) fn on(mutant: Mutant) -> bool {
    heist_mutant::on(mutant)
}

#[cfg(all(test, heist_loom))]
pub(crate) use heist_mutant::caught;
