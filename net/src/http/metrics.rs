//! Counts of requests, for each worker on its own cache lines.

use std::time::Duration;
use std::{array, fmt, iter};

use heist_scheduler::Handle;
use heist_scheduler::PerWorker;
use heist_scheduler::metrics::{Counter, Histogram, HistogramSnapshot, Scale};
use hyper::StatusCode;

use super::http2::{FrameCounts, Violation};
use crate::server::{Http2Metrics, HttpMetrics};

/// The request metrics of one server.
#[derive(Debug)]
pub(super) struct RequestMetrics {
    counts: PerWorker<WorkerCounts>,
    refused: Option<RefusedHook>,
}

/// Called with the status of each request that is answered in place of the service.
pub(super) struct RefusedHook(Box<dyn Fn(StatusCode) + Send + Sync>);

impl RefusedHook {
    pub(super) fn new(hook: impl Fn(StatusCode) + Send + Sync + 'static) -> RefusedHook {
        RefusedHook(Box::new(hook))
    }
}

impl fmt::Debug for RefusedHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefusedHook")
    }
}

/// The counts of one worker.
#[derive(Debug)]
struct WorkerCounts {
    begun: Counter,
    ended: Counter,
    abandoned: Counter,
    upgrades_begun: Counter,
    upgrades_ended: Counter,
    codes: [Counter; CODES],
    time: Histogram,
    http2: Http2Counts,
}

/// What is counted of HTTP/2.
#[derive(Debug, Default)]
struct Http2Counts {
    streams: Counter,
    streams_ended: Counter,
    resets: Counter,
    resets_sent: Counter,
    goaways_sent: Counter,
    violations: [Counter; Violation::ALL.len()],
}

impl Default for WorkerCounts {
    fn default() -> WorkerCounts {
        WorkerCounts {
            begun: Counter::default(),
            ended: Counter::default(),
            abandoned: Counter::default(),
            upgrades_begun: Counter::default(),
            upgrades_ended: Counter::default(),
            codes: array::from_fn(|_| Counter::default()),
            time: Histogram::new(Scale::Time),
            http2: Http2Counts::default(),
        }
    }
}

impl RequestMetrics {
    pub(super) fn new(runtime: &Handle, refused: Option<RefusedHook>) -> RequestMetrics {
        RequestMetrics { counts: PerWorker::new(runtime), refused }
    }

    /// A request came, which is served or refused.
    #[inline]
    pub(super) fn begin(&self) {
        self.counts.with(|count| count.begun.add(1));
    }

    /// The request that began was answered.
    #[inline]
    pub(super) fn end(&self, status: StatusCode, took: Duration) {
        self.counts.with(|count| {
            count.ended.add(1);
            count.codes[index(status)].add(1);
            count.time.record_time(took);
        });
    }

    /// The request that began will not be answered.
    pub(super) fn abandon(&self) {
        self.counts.with(|count| {
            count.ended.add(1);
            count.abandoned.add(1);
        });
    }

    /// A connection speaks another protocol from now on.
    pub(super) fn begin_upgraded(&self) {
        self.counts.with(|count| count.upgrades_begun.add(1));
    }

    /// A connection that spoke another protocol ends.
    pub(super) fn end_upgraded(&self) {
        self.counts.with(|count| count.upgrades_ended.add(1));
    }

    /// Input that never became a request was answered.
    pub(super) fn refuse(&self, status: StatusCode) {
        self.counts.with(|count| count.codes[index(status)].add(1));
        self.call_refused_hook(status);
    }

    /// Calls the hook for a request that is answered in place of the service, and counted elsewhere.
    pub(super) fn call_refused_hook(&self, status: StatusCode) {
        if let Some(RefusedHook(hook)) = &self.refused {
            hook(status);
        }
    }

    /// A stream opened.
    pub(super) fn begin_stream(&self) {
        self.counts.with(|count| count.http2.streams.add(1));
    }

    /// A stream ended.
    pub(super) fn end_stream(&self) {
        self.counts.with(|count| count.http2.streams_ended.add(1));
    }

    /// Frames of a connection came and went out.
    pub(super) fn count_frames(&self, frames: FrameCounts) {
        self.counts.with(|count| {
            count.http2.resets.add(frames.resets);
            count.http2.resets_sent.add(frames.resets_sent);
            count.http2.goaways_sent.add(frames.goaways_sent);
        });
    }

    /// A peer is cut off.
    pub(super) fn count_violation(&self, violation: Violation) {
        self.counts.with(|count| count.http2.violations[violation as usize].add(1));
    }

    fn http2(&self) -> Http2Metrics {
        let sum =
            |of: fn(&Http2Counts) -> &Counter| self.counts.sum(|count| of(&count.http2).get());
        let ended = sum(|count| &count.streams_ended);
        let streams = sum(|count| &count.streams);
        let violations = Violation::ALL.map(|violation| {
            let count = self.counts.sum(|count| count.http2.violations[violation as usize].get());
            (violation.label(), count)
        });
        Http2Metrics {
            streams,
            open_streams: streams.saturating_sub(ended),
            resets_received: sum(|count| &count.resets),
            resets_sent: sum(|count| &count.resets_sent),
            goaways_sent: sum(|count| &count.goaways_sent),
            violations: violations.to_vec(),
        }
    }

    /// All of it. Only codes that occurred are listed. 0 stands for requests without an answer, as the
    /// peer was gone or the service panicked.
    pub(super) fn snapshot(&self) -> HttpMetrics {
        // The ends are read first, so that the difference is never negative.
        let ended = self.counts.sum(|count| count.ended.get());
        let begun = self.counts.sum(|count| count.begun.get());
        let in_flight = begun.saturating_sub(ended);
        let mut request_time = HistogramSnapshot::new(Scale::Time);
        self.counts.each(|count| request_time.add(&count.time));
        let upgrades_ended = self.counts.sum(|count| count.upgrades_ended.get());
        let upgrades = self.counts.sum(|count| count.upgrades_begun.get());
        HttpMetrics {
            begun,
            http2: self.http2(),
            upgrades,
            upgraded_connections: upgrades.saturating_sub(upgrades_ended),
            ..HttpMetrics::new(self.requests(), in_flight, request_time)
        }
    }

    fn requests(&self) -> Vec<(u16, u64)> {
        let mut counts = vec![0_u64; CODES];
        self.counts.each(|count| {
            counts.iter_mut().zip(&count.codes).for_each(|(sum, count)| *sum += count.get());
        });
        let abandoned = self.counts.sum(|count| count.abandoned.get());
        let all = iter::once((0, abandoned)).chain((FIRST_CODE..).zip(counts));
        all.filter(|&(_, count)| count > 0).collect()
    }
}

/// Where a code is counted. There is a count for every code that hyper can send.
fn index(status: StatusCode) -> usize {
    usize::from(status.as_u16() - FIRST_CODE)
}

const FIRST_CODE: u16 = 100;
/// 100 to 999: what a [`StatusCode`] can be.
const CODES: usize = 900;

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;

    #[test]
    fn codes_at_both_ends_are_counted_and_requests_in_flight_are_the_difference() {
        let runtime = crate::Runtime::new().unwrap();
        let requests = RequestMetrics::new(runtime.handle(), None);
        for code in [100, 200, 200, 999] {
            requests.begin();
            requests.end(StatusCode::from_u16(code).unwrap(), Duration::from_micros(3));
        }
        requests.begin();
        requests.begin();
        requests.abandon();
        requests.refuse(StatusCode::BAD_REQUEST);
        let metrics = requests.snapshot();
        assert_eq!(metrics.requests, [(0, 1), (100, 1), (200, 2), (400, 1), (999, 1)]);
        assert_eq!(metrics.in_flight, 1);
        assert_eq!(metrics.request_time.count(), 4);
    }
}
