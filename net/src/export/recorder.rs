//! The installed recorder of the `metrics` crate, set to the present values.

use metrics::{Label, counter, describe_counter, describe_gauge, gauge};

use super::family::{Kind, Labels, Metadata, Sink, Value};

/// Sets the recorder's counters and gauges.
pub(super) struct Bridge;

impl Sink for Bridge {
    fn takes(&self, family: &Metadata) -> bool {
        family.bridged
    }

    fn begin(&mut self, family: &Metadata) {
        match family.kind {
            Kind::Counter => describe_counter!(family.name, family.help),
            Kind::Gauge => describe_gauge!(family.name, family.help),
            Kind::Histogram => {}
        }
    }

    fn put(&mut self, family: &Metadata, labels: &Labels<'_>, value: Value<'_>) {
        let labels: Vec<_> =
            labels.iter().map(|(label, value)| Label::new(label, value.to_owned())).collect();
        match (family.kind, value) {
            (Kind::Counter, Value::Whole(count)) => counter!(family.name, labels).absolute(count),
            (Kind::Gauge, Value::Whole(count)) => gauge!(family.name, labels).set(count as f64),
            (Kind::Gauge, Value::Real(value)) => gauge!(family.name, labels).set(value),
            (kind, _) => debug_assert!(false, "{}: no {kind:?} of this is bridged", family.name),
        }
    }
}
