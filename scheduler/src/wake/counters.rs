//! How many workers are idle, and whether a wake is under way, in one word.

use crate::sync::atomic::{AtomicU64, Ordering};

/// What the word said at one moment.
///
/// | bits  | meaning                          | set by                        | cleared by |
/// |-------|----------------------------------|-------------------------------|------------|
/// | 0–19  | workers that listen on a shard   | the worker, in `announce`     | the worker, in `leave` |
/// | 20–39 | workers that are parked          | the worker, in `announce`     | the thread that takes it off the stack: a waker in `claim`, or the worker in `leave` |
/// | 40    | the wake permit is out: a wake is under way | a waker, in `claim` | the woken worker when it has found work or is about to announce itself again; the waker if no worker was left to wake or the `Park` failed; a busy worker that took the notification while it polled a shard |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdleCounts(u64);

/// The word itself.
///
/// | access                | ordering | why |
/// |-----------------------|----------|-----|
/// | every change          | AcqRel   | Each is a read-modify-write, so it reads the one before it and synchronizes with it: a thread that sees a listener counted sees it in its shard, and a thread that sees a worker counted as parked finds it on the stack. |
/// | `load`                | Relaxed  | The counts are a hint for the decision; `take_permit` repeats it on the value that it changes. |
/// | failed `compare_exchange` | Relaxed | The value is only the next attempt's expectation. |
///
/// None of these orders the word with the work that is submitted and searched for: acquire and
/// release would let a worker and a submitter each miss what the other wrote. The SeqCst fences
/// around them do (README.md, "No wake-up is lost").
#[derive(Debug)]
pub(super) struct IdleWord(AtomicU64);

const FIELD: u64 = (1 << 20) - 1;
const LISTENING: u64 = 1;
const PARKED: u64 = 1 << 20;
const PERMIT: u64 = 1 << 40;

/// Workers the word can count.
pub(crate) const MAX_WORKERS: usize = FIELD as usize;

impl IdleCounts {
    /// Counts as a test states them.
    #[cfg(all(test, not(heist_loom)))]
    pub(super) fn new(listening: usize, parked: usize, permit_is_out: bool) -> Self {
        let permit = if permit_is_out { PERMIT } else { 0 };
        IdleCounts(listening as u64 * LISTENING + parked as u64 * PARKED + permit)
    }

    pub(crate) fn listening(self) -> usize {
        (self.0 & FIELD) as usize
    }

    pub(crate) fn parked(self) -> usize {
        ((self.0 >> 20) & FIELD) as usize
    }

    pub(crate) fn all(self) -> usize {
        self.listening() + self.parked()
    }

    /// Whether a worker is being woken, or was woken and still searches.
    pub(crate) fn permit_is_out(self) -> bool {
        self.0 & PERMIT != 0
    }
}

impl IdleWord {
    pub(super) fn new() -> Self {
        IdleWord(AtomicU64::new(0))
    }

    #[inline]
    pub(super) fn load(&self) -> IdleCounts {
        IdleCounts(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn add_listener(&self) {
        self.0.fetch_add(LISTENING, Ordering::AcqRel);
    }

    pub(super) fn remove_listener(&self) {
        let before = IdleCounts(self.0.fetch_sub(LISTENING, Ordering::AcqRel));
        debug_assert!(before.listening() > 0, "no listener is counted: {before:?}");
    }

    pub(super) fn add_parked(&self) {
        self.0.fetch_add(PARKED, Ordering::AcqRel);
    }

    pub(super) fn remove_parked(&self) {
        let before = IdleCounts(self.0.fetch_sub(PARKED, Ordering::AcqRel));
        debug_assert!(before.parked() > 0, "no parked worker is counted: {before:?}");
    }

    /// Takes the wake permit if `choose`, asked about the very value that is changed, names a worker
    /// to wake. Returns what it names.
    #[must_use = "a permit that was taken has to be used or released"]
    pub(super) fn take_permit<T>(&self, choose: impl Fn(IdleCounts) -> Option<T>) -> Option<T> {
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let chosen = choose(IdleCounts(now))?;
            let (ok, failed) = (Ordering::AcqRel, Ordering::Relaxed);
            match self.0.compare_exchange_weak(now, now | PERMIT, ok, failed) {
                Ok(before) => {
                    debug_assert!(before & PERMIT == 0, "the permit was out: {before:#x}");
                    return Some(chosen);
                }
                Err(actual) => now = actual,
            }
        }
    }

    /// Releases the wake permit. The counts returned were true at that moment.
    pub(super) fn release_permit(&self) -> IdleCounts {
        let before = IdleCounts(self.0.fetch_and(!PERMIT, Ordering::AcqRel));
        debug_assert!(before.permit_is_out(), "no permit is out: {before:?}");
        before
    }
}
