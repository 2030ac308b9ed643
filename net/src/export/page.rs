//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use heist_scheduler::metrics::HistogramSnapshot;

use super::family::{Labels, Metadata, Sink, Value};

/// A page, written family by family.
pub(super) struct Page {
    text: String,
    part: Part,
}

/// The families that are on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    All,
    /// The families that no recorder can hold.
    Unbridged,
}

impl Page {
    pub(super) fn new(part: Part) -> Page {
        Page { text: String::new(), part }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// `name_suffix{labels,last}`, without a value.
    fn series(&mut self, name: &str, suffix: &str, labels: &Labels<'_>, bound: Option<f64>) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut between = '{';
        for (label, value) in labels.iter() {
            self.text.push(between);
            self.label(label, value);
            between = ',';
        }
        if let Some(bound) = bound {
            self.text.push(between);
            self.text.push_str("le=\"");
            self.number(bound);
            self.text.push('"');
            between = ',';
        }
        if between == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
    }

    fn label(&mut self, label: &str, value: &str) {
        self.text.push_str(label);
        self.text.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '"' => self.text.push_str("\\\""),
                character => self.text.push(character),
            }
        }
        self.text.push('"');
    }

    fn distribution(&mut self, name: &str, labels: &Labels<'_>, snapshot: &HistogramSnapshot) {
        let all = (f64::INFINITY, snapshot.count());
        for (bound, below) in snapshot.cumulative().chain([all]) {
            self.series(name, "_bucket", labels, Some(bound));
            self.whole(below);
        }
        self.series(name, "_sum", labels, None);
        self.real(snapshot.sum());
        self.series(name, "_count", labels, None);
        self.whole(snapshot.count());
    }

    fn whole(&mut self, value: u64) {
        writeln!(self.text, "{value}").expect("a write to a string does not fail");
    }

    fn real(&mut self, value: f64) {
        self.number(value);
        self.text.push('\n');
    }

    fn number(&mut self, value: f64) {
        if value == f64::INFINITY {
            return self.text.push_str("+Inf");
        }
        write!(self.text, "{value}").expect("a write to a string does not fail");
    }
}

impl Sink for Page {
    fn takes(&self, family: &Metadata) -> bool {
        self.part == Part::All || !family.bridged
    }

    fn begin(&mut self, family: &Metadata) {
        let (name, kind) = (family.name, family.kind.as_str());
        // A backslash or a line break here would need an escape; a test ensures that no text has
        // one.
        writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {kind}", family.help)
            .expect("a write to a string does not fail");
    }

    fn put(&mut self, family: &Metadata, labels: &Labels<'_>, value: Value<'_>) {
        match value {
            Value::Distribution(snapshot) => self.distribution(family.name, labels, snapshot),
            Value::Whole(value) => {
                self.series(family.name, "", labels, None);
                self.whole(value);
            }
            Value::Real(value) => {
                self.series(family.name, "", labels, None);
                self.real(value);
            }
        }
    }
}
