//! What a family of metrics is, and how its series come out of the figures.

use std::time::Duration;

use heist_scheduler::metrics::Snapshot;

/// One name on the page: a row of a table, with how to read its series from figures of type `T`.
pub(super) struct Family<T> {
    pub(super) about: About,
    read: fn(&T, &mut Series<'_>),
}

/// What there is to know about a name, whoever has the figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// A recorder can hold it: whole counters, and gauges whose series do not come and go.
    pub(super) bridged: bool,
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Figures, and the labels that tell them from others of their type.
pub(super) struct Labelled<'a, T> {
    pub(super) labels: Vec<Label>,
    pub(super) figures: &'a T,
}

pub(super) type Label = (&'static str, String);

/// Takes what is read: a page, or a recorder.
pub(super) trait Sink {
    /// Whether it has a place for this family.
    fn takes(&self, family: &About) -> bool;

    /// The first series of `family` follows.
    fn begin(&mut self, family: &About);

    /// One series of the family begun last.
    fn put(&mut self, family: &About, labels: &Labels<'_>, value: Value<'_>);
}

/// The labels of one series: those of the figures, then those of the family.
pub(super) struct Labels<'a> {
    figures: &'a [Label],
    family: &'a [(&'static str, &'a str)],
}

pub(super) enum Value<'a> {
    Whole(u64),
    Real(f64),
    Distribution(&'a Snapshot),
}

/// Where a family puts its series.
pub(super) struct Series<'a> {
    family: &'a About,
    sink: &'a mut dyn Sink,
    labels: &'a [Label],
    begun: bool,
}

/// Puts each family's series from all figures, so that one family's lines stay together.
pub(super) fn write<T>(families: &[Family<T>], figures: &[Labelled<'_, T>], sink: &mut dyn Sink) {
    for family in families {
        if !sink.takes(&family.about) {
            continue;
        }
        let mut series = Series { family: &family.about, sink, labels: &[], begun: false };
        for one in figures {
            series.labels = &one.labels;
            (family.read)(one.figures, &mut series);
        }
    }
}

/// A counter of whole things.
pub(super) const fn counter<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { about: About { name, kind: Kind::Counter, bridged: true, help }, read }
}

/// A counter of seconds. A recorder's counters are whole numbers.
pub(super) const fn seconds<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { about: About { name, kind: Kind::Counter, bridged: false, help }, read }
}

/// A number that rises and falls.
pub(super) const fn gauge<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { about: About { name, kind: Kind::Gauge, bridged: true, help }, read }
}

/// A gauge whose series come and go. A recorder would keep those that went, at their last value.
pub(super) const fn passing_gauge<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { about: About { name, kind: Kind::Gauge, bridged: false, help }, read }
}

/// A distribution. A recorder would have to be given every single value.
pub(super) const fn histogram<T>(
    name: &'static str,
    help: &'static str,
    read: fn(&T, &mut Series<'_>),
) -> Family<T> {
    Family { about: About { name, kind: Kind::Histogram, bridged: false, help }, read }
}

impl<'a, T> Labelled<'a, T> {
    pub(super) fn new(labels: &[Label], figures: &'a T) -> Labelled<'a, T> {
        Labelled { labels: labels.to_vec(), figures }
    }

    /// With one more label.
    pub(super) fn and(mut self, name: &'static str, value: String) -> Labelled<'a, T> {
        self.labels.push((name, value));
        self
    }
}

impl Series<'_> {
    /// The family's only series of these figures.
    pub(super) fn one<'v>(&mut self, value: impl Into<Value<'v>>) {
        self.each(&[], value);
    }

    /// The family's only series of these figures, if there is one.
    pub(super) fn some<'v>(&mut self, value: Option<impl Into<Value<'v>>>) {
        if let Some(value) = value {
            self.one(value);
        }
    }

    /// One of several series, told apart by labels of the family's own.
    pub(super) fn each<'v>(
        &mut self,
        labels: &[(&'static str, &str)],
        value: impl Into<Value<'v>>,
    ) {
        if !std::mem::replace(&mut self.begun, true) {
            self.sink.begin(self.family);
        }
        let labels = Labels { figures: self.labels, family: labels };
        self.sink.put(self.family, &labels, value.into());
    }
}

impl Labels<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let figures = self.figures.iter().map(|(name, value)| (*name, value.as_str()));
        figures.chain(self.family.iter().copied())
    }
}

impl Kind {
    /// The word after `# TYPE` and the name.
    pub(super) fn word(self) -> &'static str {
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

impl<'a> From<&'a Snapshot> for Value<'a> {
    fn from(snapshot: &'a Snapshot) -> Self {
        Value::Distribution(snapshot)
    }
}
