//! Waking workers: the decision, the protocol of going to sleep and being woken, and the state of
//! the monitor's own wait. README.md beside this file has the decision table, the protocol and its
//! proof.

mod counters;
pub(crate) mod estimate;
#[cfg(all(test, heist_loom))]
mod loom;
mod monitor_state;
pub(crate) mod policy;
mod sleep;
#[cfg(all(test, not(heist_loom)))]
mod table;

pub(crate) use counters::{IdleCounts, MAX_WORKERS};
pub(crate) use monitor_state::MonitorState;
pub(crate) use sleep::{Claim, ParkKind, Sleep};
