//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::measure::figures::Fault;
use crate::measure::row::Row;
use crate::measure::scale::Scale;

/// How heist compares with what one would use instead, side by side in one run.
#[derive(Parser)]
#[command(name = "scoreboard", bin_name = "cargo bench --bench scoreboard --")]
pub(crate) struct Options {
    /// Rows to measure; all by default
    #[arg(value_name = "ROW")]
    pub(crate) rows: Vec<String>,
    /// Three short rounds of the main cases: under two minutes
    #[arg(long)]
    pub(crate) quick: bool,
    /// Everything once and as short as can be, to see that it works; its figures mean nothing
    #[arg(long, conflicts_with = "quick")]
    pub(crate) smoke: bool,
    /// List the rows
    #[arg(long)]
    pub(crate) list: bool,
    /// Measure nothing: write a page that shows how the goals went from record to record
    #[arg(long, conflicts_with_all = ["rows", "quick", "smoke", "record", "rounds", "before"])]
    pub(crate) history: bool,
    /// Keep the result as benches/record/DATE-scoreboard.json, as a full run of all rows does
    #[arg(long, conflicts_with = "smoke")]
    pub(crate) record: bool,
    /// Rounds of each row, and no further ones where a goal is unclear
    #[arg(long, value_name = "COUNT")]
    pub(crate) rounds: Option<usize>,
    /// Another checkout of heist, of before a change: it takes turns with this one, and a third column compares them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) before: Option<PathBuf>,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn scale(&self) -> Scale {
        match (self.quick, self.smoke) {
            (true, _) => Scale::Quick,
            (_, true) => Scale::Smoke,
            _ => Scale::Full,
        }
    }

    /// How long a row may go on where A/A scatters too much to judge its goals.
    pub(crate) fn further(&self) -> Duration {
        match self.scale() {
            Scale::Full => Duration::from_secs(60),
            Scale::Quick | Scale::Smoke => Duration::ZERO,
        }
    }

    /// The rows that were asked for, in the order of the board.
    pub(crate) fn choose(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, Fault> {
        let known: Vec<&str> = rows.iter().map(|row| row.name).collect();
        if let Some(name) = self.rows.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(Fault::Failed(format!("no row {name}; there are {}", known.join(", "))));
        }
        rows.retain(|row| self.rows.is_empty() || self.rows.iter().any(|name| name == row.name));
        Ok(rows)
    }

    /// Whether the result is worth keeping.
    pub(crate) fn records(&self) -> bool {
        let whole = self.rows.is_empty() && self.rounds.is_none() && self.scale() == Scale::Full;
        self.record || whole
    }

    /// The command that gives this again; `before` is the commit of the other checkout, if it is known.
    pub(crate) fn command(&self, before: Option<&str>) -> String {
        let mut words = vec!["cargo bench --bench scoreboard".to_owned()];
        let mut more = self.rows.clone();
        more.extend(match self.scale() {
            Scale::Full => None,
            scale => Some(format!("--{}", scale.name())),
        });
        more.extend(self.rounds.map(|rounds| format!("--rounds {rounds}")));
        // Where a folder is on this machine means nothing elsewhere.
        let before = self.before.as_ref().map(|_| before.unwrap_or("FOLDER"));
        more.extend(before.map(|commit| format!("--before {commit}")));
        if !more.is_empty() {
            words.push("--".to_owned());
        }
        words.extend(more);
        words.join(" ")
    }
}
