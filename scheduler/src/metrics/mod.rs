//! Counters and histograms of a runtime, and the snapshot that adds them up.
//!
//! Each counter has one writer at a time: a worker writes its own ([`PerWorker`](crate::PerWorker)), on
//! cache lines that no other worker writes. Adding to a counter costs a load and a store, recording in
//! a histogram two of each; no event writes a shared line. Readers add up.
//!
//! Without the feature `metrics` nothing is counted, and all values read 0.

mod counter;
mod histogram;
mod snapshot;
mod worker_counters;
mod worker_histograms;

pub use counter::Counter;
pub use histogram::{Histogram, HistogramSnapshot, Scale};
pub use snapshot::{AccountLoad, CurrentPoll, Metrics, WorkerMetrics};
pub(crate) use worker_counters::WorkerCounters;
pub(crate) use worker_histograms::WorkerHistograms;
