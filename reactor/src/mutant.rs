//! Faults that the loom models must catch, each switched on by the models that show it.
//!
//! In every ordinary build [`on`] is a constant `false` and costs nothing. `heist-mutant` selects the one
//! that is on in a model.

/// One defence taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The ready bit is cleared when the drain ends, not before it begins.
    ClearAfterDrain,
    /// A task does not look at the word again after it has stored its waker.
    NoSecondLook,
    /// An event is delivered whatever its generation.
    GenerationIgnored,
    /// A waker that another one replaces is dropped, not woken.
    ReplacedWakerDropped,
    /// A drain that ends early does not wake a task that began to wait meanwhile.
    EarlyEndUnheard,
    /// A task that need not wait after all leaves its waker in the slot.
    WakerLeftBehind,
    /// A task that takes a waker back does not wake it.
    TakenWakerDropped,
    /// A persistent waker is taken out when it is used.
    PersistentTaken,
    /// Whether a waker is persistent is read before the lock is taken.
    PersistentReadEarly,
    /// The kernel is asked for a direction without the lock of the slot.
    ArmedUnlocked,
    /// A direction counts as armed before the kernel has agreed.
    ArmedTooEarly,
    /// Closing marks the words but leaves the wakers in the slots.
    CloseKeepsWakers,
    /// Closing leaves the wakers of several waiters in the slots.
    CloseKeepsListed,
    /// A further waiter displaces the one that is there.
    FurtherDisplaces,
    /// The waiting bit is not set again for the waiters that an event leaves.
    WaitingNotRestored,
    /// A keyed waiter that was woken leaves and does not pass the event on.
    LeavesSilently,
    /// A keyed waiter that has taken the event does not look for its waker while the waiting bit is
    /// clear.
    WithdrawsUnlooked,
    /// An event that wakes anonymous waiters wakes no keyed one.
    KeyedBehindAnonymous,
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
