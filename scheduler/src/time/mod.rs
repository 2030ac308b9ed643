//! Time: instants, clocks, and everything that waits for a deadline.
//!
//! A [`Timer`] that is polled before its deadline takes an entry in the timers of the worker that
//! polls it: in a slot of a wheel, with the task's waker. The worker sleeps no longer than until
//! the wheel's next deadline. When that has passed it takes the entries of the slot, and wakes
//! the tasks whose time has come. [`Sleep`], [`Timeout`] and [`Interval`] are timers with a face.
//!
//! Cancelling takes no lock and moving a deadline later is a plain store; the wheel finds out
//! when it comes to the entry. The states of an entry stand in `entry.rs`, the reasoning about
//! races in `README.md` beside it.
//!
//! All of it runs on the runtime's [`Clock`], which a test can [move by hand](Clock::manual).

mod cancelled;
mod clock;
mod entries;
mod entry;
mod instant;
mod interval;
mod mutant;
mod place;
mod queue;
mod sleep;
mod tick;
mod timeout;
mod timer;
mod wheel;

#[cfg(all(test, heist_loom))]
mod loom;
#[cfg(all(test, not(heist_loom)))]
mod tests;

pub use clock::{Clock, ManualClock};
pub use instant::Instant;
pub use interval::{Interval, MissedTick, interval, interval_at};
pub(crate) use place::Place;
pub(crate) use queue::TimerQueue;
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use timer::Timer;

/// The time of the runtime that `what` is used in.
fn current_time(what: &str) -> Instant {
    crate::context::now().unwrap_or_else(|| no_runtime(what))
}

/// The time at which the present poll of `what` began.
fn poll_time(what: &str) -> Instant {
    crate::context::poll_time().unwrap_or_else(|| no_runtime(what))
}

#[cold]
pub(crate) fn no_runtime(what: &str) -> ! {
    panic!(
        "{what} was used outside a heist runtime, where there is no clock and nobody to fire \
         timers: call it in a task, in `block_on`, or after `Handle::enter`"
    )
}
