//! What each served connection has, whatever serves it.

pub(crate) mod budget;
pub(crate) mod charge;
pub(crate) mod close_reason;
pub(crate) mod coarse_instant;
pub(crate) mod deadlines;
pub(crate) mod limits;
pub(crate) mod linger;
pub(crate) mod place;
pub(crate) mod rate_monitor;
pub(crate) mod refusal;
pub(crate) mod visit;
