//! The server over real sockets.

#[path = "../common/mod.rs"]
mod common;

mod admission;
mod draining;
mod exhaustion;
mod limits;
mod serving;
mod stage;
