//! What each served connection has, whatever serves it.

pub(crate) mod budget;
pub(crate) mod closed;
pub(crate) mod ending;
pub(crate) mod lately;
pub(crate) mod place;
pub(crate) mod visit;
