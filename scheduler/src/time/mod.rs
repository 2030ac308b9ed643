//! Time: instants, clocks, and what waits for a deadline.
//!
//! A [`Timer`] that is polled before its deadline takes an entry in the timer queue of the worker that
//! polls it (`wheel`), with the task's waker. The worker sleeps no longer than until the queue's next
//! deadline. When that has passed it wakes the tasks whose deadlines have come. [`Sleep`], [`Timeout`]
//! and [`Interval`] are futures over a timer.
//!
//! Cancelling takes no lock, and moving a deadline later is a plain store: the queue reads it when it
//! reaches the entry.
//!
//! All of it runs on the runtime's [`Clock`], which a test can [move by hand](Clock::manual).

mod interval;
mod now;
mod sleep;
mod timeout;
mod timer;

#[cfg(all(test, not(heist_loom)))]
mod tests;

pub use crate::clock::{Clock, Instant, ManualClock};
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use timer::Timer;
