//! hyper services on a `Server`, over real sockets: faulty peers, the reaction of the server, and a
//! drain that loses no request.

#[path = "../common/order.rs"]
mod order;

mod accounts;
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
mod shedding;
mod site;
mod takers;
mod upgrades;
