//! `docs/metrics.md` against the families that exist.

use std::collections::{BTreeMap, BTreeSet};

use super::super::family::{Family, Metadata};
use super::super::{process, runtime as tables, server};
use super::{exporter, read, runtime};

#[test]
fn the_page_of_metrics_lists_every_family_and_no_other() {
    let there: BTreeMap<_, _> =
        all().map(|family| (family.name.to_owned(), family.kind.as_str().to_owned())).collect();
    let documented: BTreeMap<_, _> = rows().into_iter().map(|row| (row.name, row.kind)).collect();
    assert_eq!(documented, there);
}

#[test]
fn every_label_on_the_page_is_documented() {
    let (one, two) = (runtime(1), runtime(1));
    let documented: BTreeMap<_, _> = rows().into_iter().map(|row| (row.name, row.labels)).collect();
    for family in read(&exporter(&one, &two).render()) {
        let declared = &documented[&family.name];
        for (label, _) in family.samples.iter().flat_map(|sample| &sample.labels) {
            assert!(declared.contains(label) || label == "le", "{}: {label}", family.name);
        }
    }
}

#[test]
fn names_and_texts_follow_the_rules_of_prometheus() {
    for Metadata { name, kind, help, .. } in all() {
        assert_eq!(kind.as_str() == "counter", name.ends_with("_total"), "{name}");
        assert!(help.ends_with('.'), "{name}: {help}");
        assert!(!help.contains(['\\', '\n']), "{name} would need escapes: {help}");
    }
}

/// Every family, with or without a series.
fn all() -> impl Iterator<Item = &'static Metadata> {
    metadata(process::PROCESS)
        .chain(metadata(process::CPU))
        .chain(metadata(tables::RUNTIME))
        .chain(metadata(tables::WORKER))
        .chain(metadata(server::SERVER))
        .chain(metadata(server::HTTP))
        .chain(metadata(server::TLS))
}

fn metadata<T>(families: &[Family<T>]) -> impl Iterator<Item = &Metadata> {
    families.iter().map(|family| &family.metadata)
}

/// One row of a table.
struct Row {
    name: String,
    kind: String,
    labels: BTreeSet<String>,
}

/// The rows of the library's families. The program's own have a section of their own, which the
/// program's tests compare.
fn rows() -> Vec<Row> {
    let (library, program) = PAGE.split_once("\n## The program\n").expect("a section of its own");
    assert!(!program.contains("\n## "), "the section of the program is the last one");
    let rows = library.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [name, kind, _unit, labels, cost, conclusion, ""] = cells[..] else {
            panic!("not six cells: {line}");
        };
        assert!(!cost.is_empty() && !conclusion.is_empty(), "{line}");
        let words = labels.split(['`', ' ', ',']).filter(|word| !word.is_empty());
        Row {
            name: name.trim_end_matches('`').to_owned(),
            kind: kind.to_owned(),
            labels: words.map(str::to_owned).collect(),
        }
    })
    .collect()
}

const PAGE: &str = include_str!("../../../../docs/metrics.md");
