//! What is counted while a runtime works, so that reading it costs the reader and nobody else.
//!
//! Every figure has one writer at a time: a worker writes its own ([`PerWorker`](crate::PerWorker)), on cache lines
//! that no other worker writes. A count costs a load and a store, a histogram two of each; nothing
//! shared is written for an event. Readers add up.
//!
//! Without the feature `metrics` nothing is counted, and all that is read is 0.

mod counter;
mod counters;
mod distributions;
mod histogram;
mod snapshot;

pub use counter::Counter;
pub(crate) use counters::Counters;
pub(crate) use distributions::Distributions;
pub use histogram::{Histogram, Scale, Snapshot};
pub use snapshot::{CurrentPoll, Metrics, WorkerMetrics};
