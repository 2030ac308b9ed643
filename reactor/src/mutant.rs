//! Faults that the loom models must catch, each switched on by the models that show it.
//!
//! In every ordinary build [`on`] is a constant `false` and costs nothing.

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
pub(crate) use switch::on;

#[cfg(heist_loom)]
mod switch {
    use super::Mutant;
    use std::sync::OnceLock;

    const VARIABLE: &str = "HEIST_MUTANT";

    pub(crate) fn on(mutant: Mutant) -> bool {
        static ON: OnceLock<Option<String>> = OnceLock::new();
        let on = ON.get_or_init(|| std::env::var(VARIABLE).ok());
        on.as_deref().is_some_and(|on| on == format!("{mutant:?}"))
    }

    /// Asserts that the model `test` of this binary fails with `mutant`; returns what it wrote to
    /// its standard error.
    ///
    /// In a process of its own, since a deadlock that loom finds may end in an abort.
    #[cfg(test)]
    pub(crate) fn caught(mutant: Mutant, test: &str) -> String {
        let output =
            std::process::Command::new(std::env::current_exe().expect("a test has a path"))
                .args(["--exact", "--nocapture", test])
                .env(VARIABLE, format!("{mutant:?}"))
                .output()
                .expect("a test binary can be started");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("running 1 test"), "no model is called {test}: {text}");
        assert!(!output.status.success(), "{mutant:?} was not caught by {test}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

#[cfg(all(test, heist_loom))]
pub(crate) use switch::caught;
