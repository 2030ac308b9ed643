//! The board on the terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::judge::{self, Before, Line};
use crate::measure::rounds::Outcome;
use crate::measure::statistics::{Change, Spread, Verdict};
use crate::measure::write::number;

/// The goals of a row, and then every figure behind them.
pub(crate) fn print(outcome: &Outcome) {
    println!("\n{}: {} ({:.0} s)", outcome.row.name, outcome.row.workload, outcome.seconds);
    let mut head = vec!["case", "figure", "of", "goal", "value", "ratio", "A/A", ""];
    head.extend(has_before(outcome).then_some(BEFORE).into_iter().flatten());
    let mut table = table(&head);
    for line in judge::lines(outcome) {
        let mut cells = vec![
            line.case.clone(),
            line.figure.to_owned(),
            line.subject.clone(),
            line.goal.clone(),
            values(&line),
            line.ratio.map_or("–".to_owned(), spread),
            line.twins.map_or("–".to_owned(), spread),
            word(line.verdict).to_owned(),
        ];
        cells.extend(line.before.as_ref().map(before).into_iter().flatten());
        table.add_row(cells);
    }
    println!("{table}");
}

/// How many goals of each row are met.
pub(crate) fn print_summary(outcomes: &[Outcome]) {
    let has_before = outcomes.iter().any(has_before);
    let mut head = vec!["row", "met", "unclear", "not met", "unknown"];
    head.extend(has_before.then_some(["better", "worse"]).into_iter().flatten());
    head.push("left out");
    let mut table = table(&head);
    for outcome in outcomes {
        let lines = judge::lines(outcome);
        let count = |verdict| lines.iter().filter(|line| line.verdict == verdict).count();
        let counts = [Verdict::Met, Verdict::Unclear, Verdict::NotMet, Verdict::Unknown];
        let mut cells = vec![outcome.row.name.to_owned()];
        cells.extend(counts.map(|verdict| count(verdict).to_string()));
        if has_before {
            cells.extend([Change::Better, Change::Worse].map(|change| {
                let changed =
                    |line: &&Line| line.before.as_ref().map(|it| it.change) == Some(change);
                lines.iter().filter(changed).count().to_string()
            }));
        }
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

/// Whether another checkout took turns.
pub(super) fn has_before(outcome: &Outcome) -> bool {
    judge::lines(outcome).iter().any(|line| line.before.is_some())
}

/// Its figure, the ratio to it, and what became of the figure.
pub(super) fn before(before: &Before) -> [String; 3] {
    let word = match before.change {
        Change::Better => "better",
        Change::Same => "same",
        Change::Worse => "WORSE",
        Change::Unknown => "unknown",
    };
    let value = before.value.map_or("–".to_owned(), number);
    [value, before.ratio.map_or("–".to_owned(), spread), word.to_owned()]
}

/// What is above these.
pub(super) const BEFORE: [&str; 3] = ["before", "now / before", ""];

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
