//! Timers as tasks see them.

#![allow(unused_must_use, reason = "most timers here end with their queue")]

mod cached;
mod timer;
