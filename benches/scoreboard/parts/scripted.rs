//! Entrants whose figures are made up.

use std::cell::Cell;
use std::path::Path;

use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures};
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::Scale;

/// Gives one figure after the other, from the start again at the end.
pub(crate) struct Scripted {
    figures: Vec<f64>,
    visits: Cell<usize>,
}

impl Scripted {
    pub(crate) fn entrant(label: &str, figures: &[f64]) -> Entrant {
        Entrant::new(label, Scripted { figures: figures.to_vec(), visits: Cell::new(0) })
    }
}

impl Drive for Scripted {
    fn visit(&self, _: &Bench) -> Result<Figures, Fault> {
        let visit = self.visits.replace(self.visits.get() + 1);
        let figure = self.figures[visit % self.figures.len()];
        Ok(Figures::from([("cpu_us".to_owned(), figure)]))
    }
}

/// A row of one case, with three rounds.
pub(crate) fn row(entrants: Vec<Entrant>, goals: Vec<Goal>) -> Row {
    let cases = vec![Case { name: CASE.to_owned(), entrants }];
    Row { name: "row", workload: "made up", rounds: 3, cases, goals, charts: &[] }
}

/// A benchmark that builds nothing and leaves its files in `folder`.
pub(crate) fn bench(folder: &Path, rounds: Option<usize>) -> Bench {
    Bench::prepare_in(folder.to_owned(), "parts", Scale::Full, rounds, |_| Ok(())).unwrap()
}

pub(crate) const CASE: &str = "case";
