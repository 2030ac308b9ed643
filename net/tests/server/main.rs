//! The server over real sockets.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/order.rs"]
mod order;

mod admission;
mod deadlines;
mod draining;
mod exhaustion;
mod hooks;
mod idling;
mod limits;
mod serving;
mod stage;
