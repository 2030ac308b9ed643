//! Which thread runs the tasks of a current-thread runtime: the one that has taken its core.

use crate::mutant::{self, Mutant};
use crate::sync::Mutex;
use crate::threads::tracker::BlockedThreads;

/// Where the core of a current-thread runtime is while no thread runs its tasks.
///
/// Each thread in `block_on` is one of the blocked threads first, and looks here before each of its waits.
/// A thread that has taken the core puts it back before it leaves, and has all of them look again: not only
/// one, which may be about to leave with a future that is ready. So a thread either finds the core, or is
/// unparked behind its look. The locks of this and of the blocked threads order the two.
#[derive(Debug)]
pub(super) struct CoreSlot<C> {
    /// Holding this = the right to move the core. `None` while a thread runs the tasks.
    core: Mutex<Option<C>>,
}

impl<C> CoreSlot<C> {
    pub(super) fn new(core: C) -> CoreSlot<C> {
        CoreSlot { core: Mutex::new(Some(core)) }
    }

    /// The core, if no thread has it.
    pub(super) fn take(&self) -> Option<C> {
        self.core.lock().take()
    }

    /// Puts the core back, for any of the threads that are `blocked`.
    pub(super) fn put(&self, core: C, blocked: &BlockedThreads) {
        if mutant::on(Mutant::CoreBehindUnpark) {
            blocked.unpark_all();
        }
        *self.core.lock() = Some(core);
        if mutant::on(Mutant::CoreUnsaid) || mutant::on(Mutant::CoreBehindUnpark) {
            return;
        }
        blocked.unpark_all();
    }
}
