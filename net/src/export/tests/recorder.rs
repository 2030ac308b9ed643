//! The families in a recorder, and those that are left for the page.

use std::collections::{BTreeMap, BTreeSet};

use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::super::Exporter;
use super::{exporter, read, runtime, server_metrics};
use crate::server::Metrics;

#[test]
fn a_recorder_and_the_rest_make_the_whole_page_and_share_no_family() {
    let (one, two) = (runtime(1), runtime(1));
    let exporter = exporter(&one, &two);
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || exporter.publish());
    let mut recorded = BTreeMap::new();
    let mut values = BTreeMap::new();
    for (key, _, help, value) in recorder.snapshotter().snapshot().into_vec() {
        let (kind, key) = key.into_parts();
        assert!(help.is_some_and(|help| !help.is_empty()), "{} is not described", key.name());
        recorded.insert(key.name().to_owned(), kind);
        let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        values.insert(format!("{} {}", key.name(), labels.join(" ")), value);
    }
    let whole: BTreeMap<_, _> =
        read(&exporter.render()).into_iter().map(|family| (family.name, family.kind)).collect();
    let rest: BTreeSet<_> =
        read(&exporter.render_unbridged()).into_iter().map(|family| family.name).collect();
    for (name, kind) in &whole {
        match recorded.get(name) {
            Some(MetricKind::Counter) => assert_eq!(kind, "counter", "{name}"),
            Some(MetricKind::Gauge) => assert_eq!(kind, "gauge", "{name}"),
            Some(MetricKind::Histogram) => panic!("{name} would keep every value"),
            None => assert!(rest.contains(name), "{name} is nowhere"),
        }
        assert!(!(recorded.contains_key(name) && rest.contains(name)), "{name} comes twice");
    }
    assert!(recorded.keys().chain(&rest).all(|name| whole.contains_key(name)));
    let web = "runtime=two server=web";
    let count = |series: &str| values.get(series);
    // Above 2^53, where a detour through floating point would show.
    let read = format!("heist_bytes_read_total {web}");
    assert_eq!(count(&read), Some(&DebugValue::Counter(1 << 60)));
    let idle = format!("heist_connections {web} state=idle");
    assert_eq!(count(&idle), Some(&DebugValue::Gauge(4.0.into())));
}

#[test]
fn a_second_publication_moves_the_recorder_to_the_new_values() {
    let exporter = Exporter::new();
    let recorder = DebuggingRecorder::new();
    for accepted in [5, 7] {
        exporter.server("one", "web", move || Metrics { accepted, ..server_metrics() });
        metrics::with_local_recorder(&recorder, || exporter.publish());
    }
    let snapshot = recorder.snapshotter().snapshot().into_vec();
    let accepted = snapshot
        .into_iter()
        .find(|(key, ..)| key.key().name() == "heist_connections_accepted_total");
    assert_eq!(accepted.unwrap().3, DebugValue::Counter(7));
}
