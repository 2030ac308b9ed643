//! The page, read back by a strict parser, and the contents of a recorder.

use std::time::Duration;

use heist_scheduler::metrics::{Histogram, HistogramSnapshot, Scale};
use heist_tests::exposition::{Family, parse};

use super::Exporter;
use crate::server::{
    CloseKind, HandshakeCount, Http2Metrics, HttpMetrics, Metrics, Refusal, TlsMetrics,
};
use crate::{Builder, Runtime};

mod docs;
#[cfg(feature = "metrics")]
mod own_value;
mod page;
mod promtool;
mod recorder;
mod stuck;

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).start().unwrap()
}

/// A distribution of `count` values of `each`.
fn times(count: u64, each: Duration) -> HistogramSnapshot {
    let histogram = Histogram::new(Scale::Time);
    (0..count).for_each(|_| histogram.record_time(each));
    let mut snapshot = HistogramSnapshot::new(Scale::Time);
    snapshot.add(&histogram);
    snapshot
}

fn server_metrics() -> Metrics {
    Metrics {
        connections_active: 3,
        connections_idle: 4,
        connections_limit: 100,
        accepted: 50,
        refused: vec![(Refusal::PerAddress, 6), (Refusal::Overload, 7)],
        closed: vec![(CloseKind::Finished, 40), (CloseKind::TooSlow, 3)],
        accept_errors: vec![("EMFILE", 9), ("ECONNABORTED", 0)],
        connection_time: times(43, Duration::from_millis(3)),
        bytes_read: 1 << 60,
        bytes_written: 11,
        buffered_bytes: 12,
        buffered_limit: 120,
        shed_heavy: 13,
        shed_other: 5,
        http: Some(HttpMetrics {
            requests: vec![(200, 14), (503, 15), (0, 16)],
            in_flight: 2,
            upgrades: 17,
            upgraded_connections: 3,
            begun: 67,
            http2: Http2Metrics {
                streams: 17,
                open_streams: 18,
                resets_received: 19,
                resets_sent: 20,
                goaways_sent: 21,
                violations: vec![("pings", 22), ("resets", 23)],
            },
            request_time: times(29, Duration::from_micros(1)),
        }),
        tls: Some(TlsMetrics {
            handshakes: vec![
                HandshakeCount { version: "1.2", resumed: false, count: 17 },
                HandshakeCount { version: "1.3", resumed: true, count: 18 },
            ],
            failed: vec![("not_tls", 19), ("timeout", 0)],
            handshake_time: times(35, Duration::from_millis(1)),
            reloads: 20,
            failed_reloads: 1,
            expires: Some(2_000_000_000),
        }),
    }
}

/// Two runtimes; the first has a server of HTTP and one of another protocol, the second another
/// server of the same name.
fn exporter(one: &Runtime, two: &Runtime) -> Exporter {
    let exporter = Exporter::new();
    exporter.runtime("one", one.handle());
    exporter.runtime("two", two.handle());
    exporter.server("one", "web", server_metrics);
    exporter.server("one", "chat", || Metrics { http: None, tls: None, ..server_metrics() });
    exporter.server("two", "web", server_metrics);
    exporter
}

fn read(page: &str) -> Vec<Family> {
    parse(page).unwrap_or_else(|wrong| panic!("{wrong}\n{page}"))
}
