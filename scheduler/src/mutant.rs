//! Faults that the loom models must catch, each switched on by the one model that shows it.
//!
//! In every ordinary build [`on`] is a constant `false` and costs nothing.

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
    /// A worker that releases the permit does not look at the queues afterwards.
    NoLookAfterRelease,
    /// The monitor does not look after saying that it dozes.
    MonitorBlind,
    /// A worker that found work in its last look does not tell the monitor's state.
    UnparkUnsaid,
    /// The last worker to become idle does not have the monitor's timer put off.
    AllIdleUnsaid,
    /// Who sets the alarm does not look whether it was to ring at once.
    AlarmPutOff,
    /// An abort does not count itself as pending, so that nobody looks for its flag.
    AbortUncounted,
    /// A task that was flagged before it first waits waits nevertheless.
    WaitsUnflagged,
    /// A task that first waits while its registry closes is not woken.
    WaitsThroughClosing,
    /// The flag is looked at while the task still counts as queued.
    AbortSeenEarly,
    /// Who queues a task does not look whether the runtime closes afterwards.
    ScheduleBlindly,
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
        on.as_deref() == Some(&format!("{mutant:?}"))
    }

    /// Asserts that the model `test` of this binary passes as it is and fails with `mutant`.
    ///
    /// In a process of its own, since a deadlock that loom finds may end in an abort.
    #[cfg(test)]
    pub(crate) fn caught(mutant: Mutant, test: &str) {
        let run = |value: &str| {
            std::process::Command::new(std::env::current_exe().expect("a test has a path"))
                .args(["--exact", test])
                .env(VARIABLE, value)
                .output()
                .expect("a test binary can be started")
        };
        let output = run(&format!("{mutant:?}"));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("running 1 test"), "no model is called {test}: {text}");
        assert!(!output.status.success(), "{mutant:?} was not caught by {test}");
    }
}

#[cfg(all(test, heist_loom))]
pub(crate) use switch::caught;
