//! hyper services on a `Server`, over real sockets: what peers do wrong, what servers do to them,
//! and that nothing is lost when the server goes.

#[path = "../common/order.rs"]
mod order;

mod answers;
mod bodies;
mod charges;
mod client;
mod deadlines;
mod drain;
mod expect;
mod guard;
mod half_close;
mod heads;
mod idling;
mod raw;
mod services;
mod site;
mod takers;
