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

mod interval;
mod now;
mod sleep;
mod timeout;
mod timer;

#[cfg(all(test, not(heist_loom)))]
mod tests;

pub use crate::clock::{Clock, Instant, ManualClock};
pub use interval::{Interval, MissedTick, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use timer::Timer;
