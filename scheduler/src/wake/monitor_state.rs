//! What the monitor waits for, and which worker has to set its timer.

use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::fence;

/// The state of the monitor.
///
/// While the monitor dozes, the first worker that stops being idle sets the monitor's timer. After
/// each later time at which all workers were idle, the first worker that stops being idle puts the
/// timer off. So the timer fires only after a worker ran for long without such a time. No worker
/// disarms the timer: at worst the monitor looks once for nothing.
///
/// | state    | meaning                                          | set by |
/// |----------|--------------------------------------------------|--------|
/// | `AWAKE`  | The monitor sets its own timer, or looks.        | the monitor |
/// | `DOZING` | The monitor dozes, and all workers are idle as far as known: the next worker that stops being idle sets the timer. | the monitor; the last worker that becomes idle |
/// | `ARMED`  | The monitor dozes, and its timer is set.         | the thread that sets the timer |
///
/// Changes between `DOZING` and `ARMED` are compare-and-exchange, so for each time that all workers
/// are idle exactly one worker sets the timer.
///
/// | access         | ordering | pairs with |
/// |----------------|----------|------------|
/// | to `DOZING`, to `ARMED` | Release (AcqRel) | the Acquire half of the next change: the worker that sets the timer sees what was noted of the timer before |
/// | to `AWAKE`     | Relaxed  | Nothing: a worker that still sees another state sets a timer once for nothing. |
/// | loads, failures | Relaxed | The fences in `doze` and in `Sleep::leave` order the load with the count of idle workers, that in `Shared::leave_to_monitor` with the work; the exchange decides. |
#[derive(Debug)]
pub(crate) struct MonitorState(AtomicU8);

const AWAKE: u8 = 0;
const DOZING: u8 = 1;
const ARMED: u8 = 2;

impl MonitorState {
    pub(crate) fn new() -> MonitorState {
        MonitorState(AtomicU8::new(AWAKE))
    }

    /// By the monitor, which then looks whether all workers are idle, and does not wait if not.
    pub(crate) fn doze(&self) {
        self.0.store(DOZING, Ordering::Release);
        // Pairs with the fence in `Sleep::leave`: either the monitor sees that the worker left, or
        // the worker sees that the monitor dozes. Pairs also with the fence in
        // `Shared::leave_to_monitor`, with the work in place of the count.
        fence(Ordering::SeqCst);
    }

    /// By the monitor, whose wait is over.
    pub(crate) fn on_wake(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }

    /// By a worker that is no longer idle, or a thread that could wake none: whether it has to set the
    /// timer. One load while the monitor is awake.
    #[must_use = "no other worker sets the timer"]
    pub(crate) fn on_unpark(&self) -> bool {
        self.exchange(DOZING, ARMED)
    }

    /// By a worker that saw every worker idle: the next worker that stops being idle puts the timer
    /// off.
    pub(crate) fn on_all_idle(&self) {
        self.exchange(ARMED, DOZING);
    }

    fn exchange(&self, from: u8, to: u8) -> bool {
        let (ok, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.0.load(Ordering::Relaxed) == from
            && self.0.compare_exchange(from, to, ok, failed).is_ok()
    }
}
