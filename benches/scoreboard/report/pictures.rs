//! The charts that the README shows, each as a file of its own.

use std::path::Path;

use super::chart;
use crate::measure::figures::Fault;
use crate::measure::rounds::Outcome;
use crate::measure::write::save;

/// Writes a file for each chart that was measured, named by its date and its row.
pub(super) fn save_all(folder: &Path, date: &str, outcomes: &[Outcome]) -> Result<(), Fault> {
    for (row, case, figure) in SHOWN {
        let outcome = outcomes.iter().find(|outcome| outcome.row.name == row);
        let played =
            outcome.and_then(|outcome| outcome.cases.iter().find(|played| played.name == case));
        let Some(played) = played else { continue };
        if let Some(svg) = chart::draw(played, figure)? {
            save(&folder.join(format!("{date}-{row}.svg")), &svg)?;
        }
    }
    Ok(())
}

/// Row, case and figure.
const SHOWN: [(&str, &str, &str); 6] = [
    ("cpu", "64 connections (a)", "cpu_us"),
    ("hog", "16 workers (b)", "p99_us"),
    ("slo", "4 workers, exponential (b)", "p99_us"),
    ("churn", "16 connections at once (a)", "per_cpu_second"),
    ("open", "40000 a second, 16 workers (b)", "cpu_us"),
    ("idle", "2,000 to 10,000 connections (b)", "bytes"),
];
