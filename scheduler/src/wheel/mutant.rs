//! Faults that the loom models must catch, each switched on by the one model that shows it.

/// A defence taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// A fired entry is free at once, although its timer has not handed it back.
    FreeOnFire,
    /// A poll with another waker replaces the waker of an entry, and takes for granted that the
    /// entry is still filed.
    ReplaceUnfiled,
    /// A run whose time is before the deadline trusts the timer without a look at its entry.
    TrustUnfiled,
    /// A cancelled entry is on the stack before it is linked to the one below.
    LinkAfterPush,
}

#[cfg(not(heist_loom))]
pub(super) const fn on(_: Mutant) -> bool {
    false
}

#[cfg(heist_loom)]
pub(super) use switch::on;

#[cfg(heist_loom)]
mod switch {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        /// loom runs all threads of a model on the thread that runs the test.
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    pub(in super::super) fn on(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }

    /// Switches a fault on for the rest of this test's thread.
    #[cfg(test)]
    pub(in super::super) fn switch_on(mutant: Mutant) {
        ON.set(Some(mutant));
    }
}

#[cfg(all(test, heist_loom))]
pub(super) use switch::switch_on;
