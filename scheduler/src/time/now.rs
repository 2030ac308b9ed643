//! The time of the runtime that code runs in.

use std::time::Duration;

use crate::clock::Instant;
use crate::context::{self, no_runtime};

impl Instant {
    /// The current time of the runtime that this code runs in.
    ///
    /// Elsewhere, [`Handle::clock`](crate::Handle::clock) gives a runtime's time, and
    /// [`Clock::system`](crate::time::Clock::system) that of all runtimes whose time is not moved by hand. This
    /// does not fall back on the latter: a test that moves the time by hand would get an instant that
    /// compares with none of its runtime's and looks as if it did.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn now() -> Instant {
        context::now().unwrap_or_else(|| no_clock("Instant::now()"))
    }

    /// The time at which the present poll began, which costs no look at the clock.
    ///
    /// Good enough for what happens in a poll that is as short as it should be, such as the time of
    /// an event. Off the workers this is [`Instant::now`].
    ///
    /// # Panics
    ///
    /// Outside a runtime, as [`Instant::now`] does.
    pub fn of_poll() -> Instant {
        context::poll_time().unwrap_or_else(|| no_clock("Instant::of_poll()"))
    }

    /// How long ago this instant was by the current runtime's clock; zero if it is to come.
    ///
    /// # Panics
    ///
    /// Outside a runtime, as [`Instant::now`] does.
    pub fn elapsed(self) -> Duration {
        Instant::now().duration_since(self)
    }
}

/// The time of the runtime that `what` is used in.
pub(super) fn current_time(what: &str) -> Instant {
    context::now().unwrap_or_else(|| no_runtime(what))
}

/// The time at which the present poll of `what` began.
pub(super) fn poll_time(what: &str) -> Instant {
    context::poll_time().unwrap_or_else(|| no_runtime(what))
}

#[cold]
fn no_clock(what: &str) -> ! {
    panic!(
        "{what} was used outside a heist runtime, so there is no runtime whose time it could give: ask \
         the runtime's `Handle::clock`, call it after `Handle::enter`, or use \
         `std::time::Instant`"
    )
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_runtime_now_says_what_to_use_instead() {
        for ask in [Instant::now, Instant::of_poll] {
            let panic = std::panic::catch_unwind(ask).unwrap_err();
            let message = panic.downcast::<String>().unwrap();
            assert!(message.contains("std::time::Instant"), "{message}");
        }
    }
}
