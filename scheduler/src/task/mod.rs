//! Tasks: a future in an `async-task` cell, an entry in a registry, and a handle to join it.
//!
//! `async-task` keeps the states of a task (idle, queued, running, running and notified) in one
//! atomic word, so that a task is queued at most once and run by one thread at a time. The rest is
//! done here:
//!
//! * a panic in a poll, or while a future or an output is dropped, ends that task alone: `guard`;
//! * a shutdown or an abort finds every live task: `registry`;
//! * the tasks of a set are joined in the order in which they end: `join_set`;
//! * the owner decides where a woken task goes: `launch` takes the schedule function.

mod abort;
mod cell;
mod error;
mod guard;
mod join;
mod join_set;
mod launch;
#[cfg(all(test, heist_loom))]
mod loom;
mod refusal;
mod refused;
mod registration;
mod registry;
mod spawn_info;

pub use abort::AbortHandle;
#[cfg(all(test, not(heist_loom)))]
pub(crate) use cell::NoOwner;
pub(crate) use cell::{Owner, Task, TaskRegistry, WakeStamp};
pub use error::JoinError;
pub use join::JoinHandle;
pub use join_set::JoinSet;
#[cfg(all(test, not(heist_loom)))]
pub(crate) use launch::unguarded;
pub(crate) use launch::{launch, launch_with};
pub(crate) use refusal::Refusal;
pub(crate) use refused::Refused;
pub(crate) use registration::Admission;
pub(crate) use registry::Withdraw;
pub(crate) use spawn_info::SpawnInfo;
