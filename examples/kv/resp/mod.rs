//! The Redis serialization protocol: requests in, replies out. Knows no commands.
//!
//! Written by hand, because it is the hot path: a request is split into slices of the input without
//! an allocation. The existing crates build frames that own their bytes, or a vector of ranges for
//! each request, and know no inline commands.

mod inline;
mod long;
mod reply;
mod request;

pub(crate) use inline::{Words, inline};
pub(crate) use long::LongRequest;
pub(crate) use reply::Reply;
pub(crate) use request::{Args, LONG, MAX_LINE, MAX_STRING, Malformed, number, split};
