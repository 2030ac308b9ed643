//! The time of a connection, for hyper.

use std::pin::Pin;
use std::time::{Duration, Instant as SystemInstant};

use heist_scheduler::time::{self, Instant};
use hyper::rt::{Sleep, Timer};

use super::super::hyper_rt::HyperSleep;

/// Gives hyper the time of the runtime, which may stand still or be moved by hand, as if it were the
/// system's: hyper compares times, and waits for them.
#[derive(Debug)]
pub(super) struct ConnectionTimer {
    /// The same moment by both clocks.
    ours: Instant,
    theirs: SystemInstant,
}

impl ConnectionTimer {
    /// `now` is the time of the present poll.
    pub(super) fn new(now: Instant) -> ConnectionTimer {
        ConnectionTimer { ours: now, theirs: SystemInstant::now() }
    }

    fn by_ours(&self, theirs: SystemInstant) -> Instant {
        self.ours + theirs.saturating_duration_since(self.theirs)
    }
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(HyperSleep(time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: SystemInstant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HyperSleep(time::sleep_until(self.by_ours(deadline))))
    }

    fn now(&self) -> SystemInstant {
        self.theirs + (Instant::of_poll() - self.ours)
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: SystemInstant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(mut sleep) => sleep.0.reset(self.by_ours(deadline)),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}
