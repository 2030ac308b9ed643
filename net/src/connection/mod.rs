//! What each served connection has, whatever serves it.

pub(crate) mod activity;
pub(crate) mod budget;
pub(crate) mod charge;
pub(crate) mod close_reason;
pub(crate) mod counts;
pub(crate) mod deadlines;
pub(crate) mod drain_signal;
pub(crate) mod io;
pub(crate) mod limits;
pub(crate) mod linger;
mod observers;
pub(crate) mod origins;
pub(crate) mod permit;
pub(crate) mod rate_monitor;
pub(crate) mod refusal;
pub(crate) mod set;
pub(crate) mod socket_io;
pub(crate) mod table;
pub(crate) mod transport;
mod transport_io;
pub(crate) mod waits;
