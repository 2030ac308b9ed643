//! The server over real sockets.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/masked.rs"]
mod masked;
#[path = "../common/order.rs"]
mod order;

mod accounts;
mod activity;
mod admission;
mod deadlines;
mod draining;
mod exhaustion;
mod hooks;
mod idling;
mod layers;
mod limits;
mod proxy;
mod serving;
mod stage;
