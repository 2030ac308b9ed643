//! The monitor: looks after workers that cannot look after themselves.
//!
//! It is a function of the time, of what the workers publish, and of what the kernel tells of a
//! worker that is in a long poll. A thread calls it. It dozes while every worker is idle or soon idle
//! again, so that a runtime with little to do does not pay for its looks.

mod codel;
mod delay_probe;
mod detector;
mod run;
mod shared;
mod timer;
mod workers;

pub use codel::OverloadLevel;
pub(crate) use codel::{CoDel, OVERLOAD_INTERVAL, OVERLOAD_TARGET};
pub(crate) use delay_probe::Overload;
pub(crate) use run::Monitor;
pub(crate) use shared::{LONG_POLL, MonitorShared};
#[cfg(all(test, heist_loom))]
pub(crate) use timer::MonitorTimer;
pub(crate) use workers::Workers;
