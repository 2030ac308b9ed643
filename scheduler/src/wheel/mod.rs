//! The timers of one worker: which entry is due next, and whose waker it holds.
//!
//! A [`TimerQueue`] files entries by their [`Tick`] in a hierarchy of levels, fires those that are due,
//! and releases those that were cancelled. Arming takes the queue's lock; cancelling an entry takes no
//! lock, and postponing one is a plain store. The states of an entry are in `entry.rs`, the protocol
//! and the argument that no wake-up is lost in `README.md` beside it.

mod arming;
mod cached;
mod cancelled;
mod entries;
mod entry;
mod filed;
mod levels;
#[cfg(all(test, heist_loom))]
mod loom;
mod queue;
#[cfg(all(test, not(heist_loom)))]
pub(crate) mod tests;
mod tick;

pub(crate) use arming::{Armed, Arming};
pub(crate) use cached::CachedEntry;
pub(crate) use entries::Chunk;
pub(crate) use queue::TimerQueue;
pub(crate) use tick::Tick;
