//! Families of metrics, and how their series are read.

use std::time::Duration;

use heist_scheduler::metrics::HistogramSnapshot;

/// One name on the page: a row of a table, with the function that reads its series from a `T`.
pub(super) struct Family<T> {
    pub(super) metadata: Metadata,
    read: fn(&T, &mut Series<'_>),
}

/// A name, its kind and its description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metadata {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether a recorder can hold it: whole counters, and gauges whose series do not come and go.
    pub(super) bridged: bool,
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Metrics, and the labels that tell them from others of their type.
pub(super) struct Labelled<'a, T> {
    pub(super) labels: Vec<Label>,
    pub(super) metrics: &'a T,
}

pub(super) type Label = (&'static str, String);

/// The destination of the series: a page, or a recorder.
pub(super) trait Sink {
    /// Whether it can hold this family.
    fn takes(&self, family: &Metadata) -> bool;

    /// The first series of `family` follows.
    fn begin(&mut self, family: &Metadata);

    /// One series of the family begun last.
    fn put(&mut self, family: &Metadata, labels: &Labels<'_>, value: Value<'_>);
}

/// The labels of one series: those of the source, then those of the family.
pub(super) struct Labels<'a> {
    metrics: &'a [Label],
    family: &'a [(&'static str, &'a str)],
}

pub(super) enum Value<'a> {
    Whole(u64),
    Real(f64),
    Distribution(&'a HistogramSnapshot),
}

/// Passes the series of one family on to the sink.
pub(super) struct Series<'a> {
    family: &'a Metadata,
    sink: &'a mut dyn Sink,
    labels: &'a [Label],
    begun: bool,
}

/// Writes the series of each family from all sources, so that the lines of one family stay
/// together.
pub(super) fn write<T>(families: &[Family<T>], metrics: &[Labelled<'_, T>], sink: &mut dyn Sink) {
    for family in families {
        if !sink.takes(&family.metadata) {
            continue;
        }
        let mut series = Series { family: &family.metadata, sink, labels: &[], begun: false };
        for one in metrics {
            series.labels = &one.labels;
            (family.read)(one.metrics, &mut series);
        }
    }
}

/// A counter of whole numbers.
pub(super) const fn counter<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { metadata: Metadata { name, kind: Kind::Counter, bridged: true, help }, read }
}

/// A counter of seconds. A recorder's counters are whole numbers.
pub(super) const fn seconds<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { metadata: Metadata { name, kind: Kind::Counter, bridged: false, help }, read }
}

/// A number that rises and falls.
pub(super) const fn gauge<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { metadata: Metadata { name, kind: Kind::Gauge, bridged: true, help }, read }
}

/// A gauge whose series come and go. A recorder would keep removed series at their last value.
pub(super) const fn passing_gauge<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { metadata: Metadata { name, kind: Kind::Gauge, bridged: false, help }, read }
}

/// A distribution. A recorder would need every single value.
pub(super) const fn histogram<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { metadata: Metadata { name, kind: Kind::Histogram, bridged: false, help }, read }
}

impl<'a, T> Labelled<'a, T> {
    pub(super) fn new(labels: &[Label], metrics: &'a T) -> Labelled<'a, T> {
        Labelled { labels: labels.to_vec(), metrics }
    }

    /// With one more label.
    pub(super) fn and(mut self, name: &'static str, value: String) -> Labelled<'a, T> {
        self.labels.push((name, value));
        self
    }
}

impl Series<'_> {
    /// The family's only series of this source.
    pub(super) fn one<'v>(&mut self, value: impl Into<Value<'v>>) {
        self.each(&[], value);
    }

    /// The family's only series of this source, if there is one.
    pub(super) fn some<'v>(&mut self, value: Option<impl Into<Value<'v>>>) {
        if let Some(value) = value {
            self.one(value);
        }
    }

    /// One of several series, told apart by the family's own labels.
    pub(super) fn each<'v>(
        &mut self,
        labels: &[(&'static str, &str)],
        value: impl Into<Value<'v>>,
    ) {
        if !std::mem::replace(&mut self.begun, true) {
            self.sink.begin(self.family);
        }
        let labels = Labels { metrics: self.labels, family: labels };
        self.sink.put(self.family, &labels, value.into());
    }
}

impl Labels<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let metrics = self.metrics.iter().map(|(name, value)| (*name, value.as_str()));
        metrics.chain(self.family.iter().copied())
    }
}

impl Kind {
    /// As on the page, after `# TYPE` and the name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl From<u64> for Value<'_> {
    fn from(count: u64) -> Self {
        Value::Whole(count)
    }
}

impl From<usize> for Value<'_> {
    fn from(count: usize) -> Self {
        Value::Whole(count as u64)
    }
}

impl From<Duration> for Value<'_> {
    fn from(time: Duration) -> Self {
        Value::Real(time.as_secs_f64())
    }
}

impl<'a> From<&'a HistogramSnapshot> for Value<'a> {
    fn from(snapshot: &'a HistogramSnapshot) -> Self {
        Value::Distribution(snapshot)
    }
}
