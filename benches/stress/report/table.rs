//! The points of a workload on the terminal and, with the same columns, on the page.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use super::curve::spread;
use crate::measure::rounds::{Outcome, Samples};
use crate::measure::write::number;
use crate::plan::Plan;
use crate::point::Point;

/// What was found with one workload.
pub(crate) fn print(plan: &Plan, outcome: &Outcome) {
    println!("\n{}: {} ({:.0} s)", outcome.row.name, outcome.row.workload, outcome.seconds);
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header());
    table.add_rows(rows(plan, outcome));
    println!("{table}");
    outcome.left_out().iter().for_each(|word| println!("left out: {word}"));
}

/// Names of the columns.
pub(super) fn header() -> Vec<&'static str> {
    let fixed = ["workers", "shards", "CPUs"];
    fixed.into_iter().chain(FIGURES.map(|(_, name)| name)).chain([""]).collect()
}

/// A row for each point.
pub(super) fn rows(plan: &Plan, outcome: &Outcome) -> Vec<Vec<String>> {
    let groups = plan.workloads.iter().find(|(kind, _)| kind.name() == outcome.row.name);
    let groups = groups.into_iter().flat_map(|(_, groups)| groups).zip(&outcome.cases);
    let points = groups.flat_map(|(group, case)| group.iter().zip(&case.samples));
    points.map(|(point, samples)| row(point, samples)).collect()
}

fn row(point: &Point, samples: &Samples) -> Vec<String> {
    let auto = if point.shape.auto { " (auto)" } else { "" };
    let mut row = vec![
        point.shape.workers.to_string(),
        format!("{}{auto}", point.shape.shards),
        point.size().server_cpus.to_string(),
    ];
    let figure =
        |name| spread(samples, name).map_or("–".to_owned(), |spread| number(spread.median));
    row.extend(FIGURES.map(|(name, _)| figure(name)));
    row.push(if load_bound(samples) { "the load's limit" } else { "" }.to_owned());
    row
}

/// Whether the load could do no more while the server could.
pub(super) fn load_bound(samples: &Samples) -> bool {
    let above = |figure, bound| spread(samples, figure).is_some_and(|spread| spread.median > bound);
    above("load_busy", FULL) && !above("server_busy", FULL)
}

/// The columns: figure and heading.
const FIGURES: [(&str, &str); 11] = [
    ("rate", "requests/s"),
    ("p50_us", "p50 µs"),
    ("p99_us", "p99 µs"),
    ("p999_us", "p99.9 µs"),
    ("cpu_us", "CPU µs"),
    ("steals_per_1000", "steals ‰"),
    ("failed_steals_per_1000", "failed ‰"),
    ("empty_wakes_per_1000", "empty wakes ‰"),
    ("rescues", "rescues"),
    ("server_busy", "server busy"),
    ("load_busy", "load busy"),
];
/// The share of CPU time that counts as full load.
const FULL: f64 = 0.95;
