//! The board for programs.

use serde_json::{Value, json};

use crate::judge::{self, Line};
use crate::measure::bench::Bench;
use crate::measure::figures::Fault;
use crate::measure::rounds::{Outcome, Played, Samples};
use crate::measure::statistics::{Change, Spread, Verdict};
use crate::options::Options;

/// `rows` has a line for each goal; `figures` has every figure of every entrant.
pub(super) fn board(bench: &Bench, options: &Options, outcomes: &[Outcome]) -> Value {
    let lines = outcomes.iter().flat_map(judge::lines);
    let (machine, before) = (&bench.machine, bench.before().and_then(Bench::commit));
    json!({
        "date": machine.date,
        "commit": bench.commit(),
        "kernel": machine.kernel,
        "machine": machine.name,
        "command": options.command(before.as_deref()),
        "before": before,
        "scale": bench.scale.name(),
        "rows": lines.map(line).collect::<Vec<_>>(),
        "figures": outcomes.iter().flat_map(figures).collect::<Vec<_>>(),
        "left_out": outcomes.iter().flat_map(Outcome::left_out).collect::<Vec<_>>(),
    })
}

/// Whether it can be read back and has every goal of every row, each of them whole.
pub(super) fn check(text: &str, outcomes: &[Outcome]) -> Result<(), Fault> {
    let board: Value = serde_json::from_str(text).map_err(Fault::of("reading back the JSON"))?;
    let rows = board["rows"].as_array().map_or(&[][..], Vec::as_slice);
    for outcome in outcomes {
        let wanted = judge::lines(outcome);
        let found: Vec<_> = rows.iter().filter(|row| row["row"] == outcome.row.name).collect();
        let faults = wanted.iter().zip(&found).filter_map(|(line, row)| broken(line, row));
        if let Some(fault) = faults.into_iter().next() {
            return Err(Fault::Failed(fault));
        }
        if wanted.len() != found.len() {
            return Err(Fault::Failed(format!("{}: goals are missing", outcome.row.name)));
        }
        if wanted.is_empty() && outcome.left_out().is_empty() {
            return Err(Fault::Failed(format!("{}: there is no goal", outcome.row.name)));
        }
    }
    Ok(())
}

/// What is wrong with a goal in the file. What is unknown has no figure; what is to be nothing at all
/// has no ratio.
fn broken(line: &Line, row: &Value) -> Option<String> {
    let missing = ["case", "figure", "subject", "goal", "verdict"]
        .into_iter()
        .find(|&key| !row[key].is_string());
    let known = row["verdict"] != "unknown";
    let numbers = row["value"].is_number() && (row["ratio"].is_number() || line.other == Some(0.0));
    match missing {
        Some(key) => Some(format!("{}, {}: no {key}", line.row, line.goal)),
        None if known && !numbers => Some(format!("{}, {}: no figure", line.row, line.goal)),
        None => None,
    }
}

fn line(line: Line) -> Value {
    json!({
        "row": line.row,
        "case": line.case,
        "figure": line.figure,
        "subject": line.subject,
        "goal": line.goal,
        "value": line.value,
        "other": line.other,
        "ratio": line.ratio.map(|ratio| ratio.median),
        "quartiles": line.ratio.map(quartiles),
        "rounds": line.ratio.map(|ratio| ratio.count),
        "twins": line.twins.map(|twins| json!({
            "ratio": twins.median,
            "quartiles": quartiles(twins),
        })),
        "met": match line.verdict {
            Verdict::Met => Some(true),
            Verdict::NotMet => Some(false),
            Verdict::Unclear | Verdict::Unknown => None,
        },
        "before": line.before.as_ref().map(|before| json!({
            "value": before.value,
            "ratio": before.ratio.map(|ratio| ratio.median),
            "quartiles": before.ratio.map(quartiles),
            "change": match before.change {
                Change::Better => "better",
                Change::Same => "same",
                Change::Worse => "worse",
                Change::Unknown => "unknown",
            },
        })),
        "verdict": match line.verdict {
            Verdict::Met => "met",
            Verdict::NotMet => "not met",
            Verdict::Unclear => "unclear",
            Verdict::Unknown => "unknown",
        },
    })
}

fn figures(outcome: &Outcome) -> Vec<Value> {
    let of = |case: &Played, samples: &Samples, figure: &str| {
        let rounds = samples.figure(figure);
        let spread = Spread::of(&rounds.iter().flatten().copied().collect::<Vec<_>>())?;
        Some(json!({
            "row": outcome.row.name,
            "case": case.name,
            "entrant": samples.label,
            "figure": figure,
            "median": spread.median,
            "quartiles": quartiles(spread),
            "rounds": rounds,
        }))
    };
    let entrants = outcome
        .cases
        .iter()
        .flat_map(|case| case.samples.iter().map(move |samples| (case, samples)));
    entrants
        .flat_map(|(case, samples)| {
            samples.figures().into_iter().filter_map(move |figure| of(case, samples, figure))
        })
        .collect()
}

fn quartiles(spread: Spread) -> [f64; 2] {
    [spread.low, spread.high]
}
