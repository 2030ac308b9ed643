//! The Redis serialization protocol: requests in, replies out. Knows no commands.
//!
//! It is written by hand, because it is the hot part: a request is split into slices of the input,
//! without an allocation. The crates there are make frames that own their bytes or a vector of
//! ranges for each request, and know nothing of inline commands.

mod long;
mod reply;
mod request;

pub(crate) use long::LongRequest;
pub(crate) use reply::Reply;
pub(crate) use request::{Args, LONG, Malformed, split};
