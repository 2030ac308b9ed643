//! What is counted while a runtime works, so that reading it costs the reader and nobody else.
//!
//! Every figure has one writer at a time: a worker writes its own ([`Stripes`]), on cache lines
//! that no other worker writes. A count costs a load and a store, a histogram two of each; nothing
//! shared is written for an event. Readers add up.
//!
//! Without the feature `figures` nothing is counted, and all that is read is 0.

mod count;
mod counters;
mod distributions;
mod histogram;
mod stripes;

pub use count::Count;
pub(crate) use counters::Counters;
pub(crate) use distributions::Distributions;
pub use histogram::{Histogram, Scale, Snapshot};
pub use stripes::Stripes;
