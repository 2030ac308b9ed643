//! What earlier runs have recorded.

use std::path::Path;

use serde_json::Value;

use crate::measure::figures::Fault;

/// One run.
pub(super) struct Record {
    pub(super) date: String,
    /// What was measured; a record may not know.
    pub(super) commit: Option<String>,
    pub(super) machine: String,
    pub(super) kernel: String,
    pub(super) scale: String,
    pub(super) lines: Vec<Line>,
}

impl Record {
    /// Whether a figure of both says something of the program: they are of one machine and of as many rounds.
    pub(super) fn is_like(&self, other: &Record) -> bool {
        (&self.machine, &self.scale) == (&other.machine, &other.scale)
    }
}

/// A goal, and what was found.
pub(super) struct Line {
    pub(super) key: Key,
    pub(super) bound: Bound,
    pub(super) value: Option<f64>,
    /// To what the goal divides by, or of the value to its bound.
    pub(super) ratio: Option<f64>,
    /// Of the ratio.
    pub(super) quartiles: Option<[f64; 2]>,
    /// How far from 1 the quartiles of the ratio of two measurements of one thing went.
    pub(super) scatter: f64,
    pub(super) verdict: String,
}

/// What stays the same from record to record when a goal changes.
#[derive(Clone, PartialEq)]
pub(super) struct Key {
    pub(super) row: String,
    pub(super) case: String,
    pub(super) figure: String,
    pub(super) subject: String,
    /// What the figure is divided by, in words; none where it is bounded itself.
    pub(super) other: Option<String>,
}

/// What a goal asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// Every `DATE-scoreboard.json` of the folder, oldest first.
///
/// # Errors
/// The folder or a file cannot be read, a file is not a record of the scoreboard, or there is none.
pub(super) fn read(folder: &Path) -> Result<Vec<Record>, Fault> {
    let reading = || format!("reading {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Fault::of(reading()))? {
        let path = entry.map_err(Fault::of(reading()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with("-scoreboard.json") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(Fault::Failed(format!("{}: no record of the scoreboard", reading())));
    }
    paths.iter().map(|path| file(path)).collect()
}

fn file(path: &Path) -> Result<Record, Fault> {
    let reading = format!("reading {}", path.display());
    let text = std::fs::read_to_string(path).map_err(Fault::of(&reading))?;
    let board: Value = serde_json::from_str(&text).map_err(Fault::of(&reading))?;
    record(&board).map_err(|missing| Fault::Failed(format!("{reading}: {missing}")))
}

fn record(board: &Value) -> Result<Record, String> {
    let rows = board["rows"].as_array().ok_or("it has no rows")?;
    Ok(Record {
        date: text(board, "date")?,
        commit: board["commit"].as_str().map(str::to_owned),
        machine: text(board, "machine")?,
        kernel: text(board, "kernel")?,
        scale: text(board, "scale")?,
        lines: rows.iter().map(line).collect::<Result<_, _>>()?,
    })
}

fn line(row: &Value) -> Result<Line, String> {
    let goal = text(row, "goal")?;
    let (bound, other) = parsed(&goal).ok_or_else(|| format!("the goal {goal:?} is not one"))?;
    let key = Key {
        row: text(row, "row")?,
        case: text(row, "case")?,
        figure: text(row, "figure")?,
        subject: text(row, "subject")?,
        other,
    };
    let twins = quartiles(&row["twins"]["quartiles"]);
    let scatter = twins.into_iter().flatten().map(|ratio| (ratio - 1.0).abs());
    Ok(Line {
        key,
        bound,
        value: row["value"].as_f64(),
        ratio: row["ratio"].as_f64(),
        quartiles: quartiles(&row["quartiles"]),
        scatter: scatter.fold(0.0, f64::max),
        verdict: text(row, "verdict")?,
    })
}

/// `≤ 1.02 × epoll`, or `≤ 60`.
fn parsed(goal: &str) -> Option<(Bound, Option<String>)> {
    let (sign, rest) = goal.split_once(' ')?;
    let (bound, other) = match rest.split_once(" × ") {
        Some((bound, other)) => (bound, Some(other.to_owned())),
        None => (rest, None),
    };
    let bound = bound.parse().ok()?;
    match sign {
        "≤" => Some((Bound::AtMost(bound), other)),
        "≥" => Some((Bound::AtLeast(bound), other)),
        _ => None,
    }
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    value[key].as_str().map(str::to_owned).ok_or_else(|| format!("it has no {key}"))
}

fn quartiles(value: &Value) -> Option<[f64; 2]> {
    Some([value[0].as_f64()?, value[1].as_f64()?])
}
