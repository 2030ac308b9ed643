//! Counts of handshakes, for each worker on its own cache lines.

use std::array;
use std::time::Duration;

use heist_scheduler::metrics::{Counter, Histogram, HistogramSnapshot, Scale};
use heist_scheduler::{Handle, PerWorker};

use super::config::Config;
use super::failure::HandshakeFailure;
use super::info::Version;
use crate::server::{HandshakeCount, TlsMetrics};

/// The handshakes of one server.
#[derive(Debug)]
pub(super) struct HandshakeMetrics {
    counts: PerWorker<WorkerCounts>,
}

/// The counts of one worker.
#[derive(Debug)]
struct WorkerCounts {
    /// By version, and whether the session was resumed.
    completed: [[Counter; 2]; Version::ALL.len()],
    failed: [Counter; HandshakeFailure::ALL.len()],
    time: Histogram,
}

impl Default for WorkerCounts {
    fn default() -> WorkerCounts {
        WorkerCounts {
            completed: array::from_fn(|_| array::from_fn(|_| Counter::default())),
            failed: array::from_fn(|_| Counter::default()),
            time: Histogram::new(Scale::Time),
        }
    }
}

impl HandshakeMetrics {
    pub(super) fn new(runtime: &Handle) -> HandshakeMetrics {
        HandshakeMetrics { counts: PerWorker::new(runtime) }
    }

    /// A handshake is complete.
    pub(super) fn complete(&self, version: Version, resumed: bool, took: Duration) {
        self.counts.with(|counts| {
            counts.completed[version as usize][usize::from(resumed)].add(1);
            counts.time.record_time(took);
        });
    }

    /// A handshake has failed.
    pub(super) fn fail(&self, failure: HandshakeFailure) {
        self.counts.with(|counts| counts.failed[failure as usize].add(1));
    }

    /// All of it, with what `config` counts.
    pub(super) fn snapshot(&self, config: &Config) -> TlsMetrics {
        let (reloads, failed_reloads) = config.reloads();
        let mut handshakes = Vec::new();
        for version in Version::ALL {
            for resumed in [false, true] {
                let of = |counts: &WorkerCounts| {
                    counts.completed[version as usize][usize::from(resumed)].get()
                };
                let count = self.counts.sum(of);
                handshakes.push(HandshakeCount { version: version.label(), resumed, count });
            }
        }
        let failed = HandshakeFailure::ALL.map(|failure| {
            let count = self.counts.sum(|counts| counts.failed[failure as usize].get());
            (failure.label(), count)
        });
        let mut handshake_time = HistogramSnapshot::new(Scale::Time);
        self.counts.each(|counts| handshake_time.add(&counts.time));
        TlsMetrics {
            handshakes,
            failed: failed.into(),
            handshake_time,
            reloads,
            failed_reloads,
            expires: config.expires(),
        }
    }
}
