//! The monitor's own sleep: as long as everybody rests, or soon rests again.

use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::fence;

/// What the monitor does, for those who have to set its alarm.
///
/// While it dozes its alarm is set by the first to get up and put off by the first to get up after
/// each later rest, so that it rings only when somebody has run for long without one. Nobody takes
/// the alarm back: at worst the monitor looks for nothing, once.
#[derive(Debug)]
pub(crate) struct MonitorState(AtomicU8);

/// The monitor looks by itself. Set by the monitor.
const AWAKE: u8 = 0;
/// It dozes, and everybody rests: whoever gets up sets the alarm. Set by the monitor, and by the
/// last one to go to rest.
const AT_REST: u8 = 1;
/// It dozes, and the alarm is set. Set by the one who sets it.
const WATCHED: u8 = 2;

impl MonitorState {
    pub(crate) fn new() -> MonitorState {
        MonitorState(AtomicU8::new(AWAKE))
    }

    /// By the monitor, which then looks whether everybody rests, and does not wait if not.
    pub(crate) fn begin(&self) {
        // Release, as are the changes below: who sets the alarm sees what was noted of it before.
        self.0.store(AT_REST, Ordering::Release);
        // Pairs with the fence in `Sleep::leave`: either the monitor sees who got up, or that one
        // sees that the monitor dozes.
        fence(Ordering::SeqCst);
    }

    pub(crate) fn end(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }

    /// By a worker that has left its bed: whether it has to set the alarm. One load while the
    /// monitor is awake.
    #[must_use = "nobody else sets the alarm"]
    pub(crate) fn got_up(&self) -> bool {
        self.moved(AT_REST, WATCHED)
    }

    /// By a worker that saw everybody in bed, or at least had to think so: who gets up next puts
    /// the alarm off.
    pub(crate) fn all_rest(&self) {
        self.moved(WATCHED, AT_REST);
    }

    fn moved(&self, from: u8, to: u8) -> bool {
        let (ok, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.0.load(Ordering::Relaxed) == from
            && self.0.compare_exchange(from, to, ok, failed).is_ok()
    }
}
