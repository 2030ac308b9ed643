//! The board on the terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::judge::{self, Line};
use crate::measure::rounds::Outcome;
use crate::measure::statistics::{Spread, Verdict};
use crate::measure::write::number;

/// The goals of a row, and then every figure behind them.
pub(crate) fn print(outcome: &Outcome) {
    println!("\n{}: {} ({:.0} s)", outcome.row.name, outcome.row.workload, outcome.seconds);
    let mut table = table(&["case", "figure", "of", "goal", "value", "ratio", "A/A", ""]);
    for line in judge::lines(outcome) {
        table.add_row([
            line.case.clone(),
            line.figure.to_owned(),
            line.subject.clone(),
            line.goal.clone(),
            values(&line),
            line.ratio.map_or("–".to_owned(), spread),
            line.twins.map_or("–".to_owned(), spread),
            word(line.verdict).to_owned(),
        ]);
    }
    println!("{table}");
}

/// How many goals of each row are met.
pub(crate) fn print_summary(outcomes: &[Outcome]) {
    let mut table = table(&["row", "met", "unclear", "not met", "unknown", "left out"]);
    for outcome in outcomes {
        let lines = judge::lines(outcome);
        let count = |verdict| lines.iter().filter(|line| line.verdict == verdict).count();
        let counts = [Verdict::Met, Verdict::Unclear, Verdict::NotMet, Verdict::Unknown];
        let mut cells = vec![outcome.row.name.to_owned()];
        cells.extend(counts.map(|verdict| count(verdict).to_string()));
        cells.push(outcome.left_out().join(", "));
        table.add_row(cells);
    }
    println!("\n{table}");
}

pub(super) fn values(line: &Line) -> String {
    let value = line.value.map_or("–".to_owned(), number);
    match (line.other, line.goal.contains('×')) {
        (Some(other), true) => format!("{value} / {}", number(other)),
        _ => value,
    }
}

pub(super) fn spread(spread: Spread) -> String {
    format!("{:.3} ({:.3}–{:.3})", spread.median, spread.low, spread.high)
}

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::NotMet => "NOT MET",
        Verdict::Unclear => "unclear",
        Verdict::Unknown => "unknown",
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    table
}
