//! Letting the entrants of a row take turns.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::bench::Bench;
use super::figures::{Fault, Figures};
use super::machine::stolen_ticks;
use super::progress;
use super::row::{Case, Entrant, Row};
use super::scale::Scale;

/// A row that was played.
pub(crate) struct Outcome {
    pub(crate) row: Row,
    pub(crate) cases: Vec<Played>,
    pub(crate) seconds: f64,
}

/// A case that was played.
pub(crate) struct Played {
    pub(crate) name: String,
    pub(crate) samples: Vec<Samples>,
}

/// What an entrant did in each round.
pub(crate) struct Samples {
    pub(crate) label: String,
    /// `None` where the round was dropped or failed.
    visits: Vec<Option<Figures>>,
    /// Rounds in which the host stole time from every try.
    pub(crate) stolen: usize,
    /// The first fault, if there was one.
    pub(crate) fault: Option<Fault>,
}

impl Outcome {
    /// Entrants that were not there, and rounds that were dropped.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let samples = self.cases.iter().flat_map(|case| &case.samples);
        let mut words: Vec<String> = samples
            .flat_map(|samples| {
                let fault = samples.fault.as_ref();
                let fault = fault.map(|fault| format!("{}: {fault}", samples.label));
                let stolen = format!("{}: {} rounds stolen from", samples.label, samples.stolen);
                fault.into_iter().chain((samples.stolen > 0).then_some(stolen))
            })
            .collect();
        words.sort();
        words.dedup();
        words
    }
}

impl Samples {
    /// One figure, round by round.
    pub(crate) fn figure(&self, name: &str) -> Vec<Option<f64>> {
        self.visits.iter().map(|visit| visit.as_ref()?.get(name).copied()).collect()
    }

    /// Names of the figures that it has.
    pub(crate) fn figures(&self) -> Vec<&str> {
        let first = self.visits.iter().flatten().next();
        first.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// Whether it could not be there: something is not installed.
    pub(crate) fn missing(&self) -> bool {
        matches!(self.fault, Some(Fault::Missing { .. }))
    }
}

/// Those that take turns: the name of a case, and the label of an entrant.
pub(crate) type Turns = BTreeSet<(String, String)>;

/// Plays every round of a row: in each, every entrant of every case in turn. Then as many rounds again, and once more,
/// of those that `unclear` finds each time.
///
/// No round begins later than `time` after the last of the row's own. There are no further ones where the number of
/// rounds was asked for.
///
/// # Errors
/// In a smoke run, where every visit has to work. Otherwise a fault is kept with the samples.
pub(crate) fn play(
    bench: &Bench,
    row: Row,
    time: Duration,
    unclear: impl Fn(&Outcome) -> Turns,
) -> Result<Outcome, Fault> {
    let start = Instant::now();
    let rounds = bench.rounds.unwrap_or(bench.scale.rounds(row.rounds));
    let bar = progress::bar(row.name);
    let mut outcome = Outcome::new(row);
    outcome.play(bench, &bar, rounds, None, None)?;
    let end = Instant::now() + time;
    let times = if bench.rounds.is_some() { 0 } else { FURTHER };
    for _ in 0..times {
        let turns = unclear(&outcome);
        if turns.is_empty() {
            break;
        }
        outcome.play(bench, &bar, rounds, Some(&turns), Some(end))?;
    }
    bar.finish_and_clear();
    outcome.seconds = start.elapsed().as_secs_f64();
    Ok(outcome)
}

impl Outcome {
    fn new(row: Row) -> Outcome {
        let case = |case: &Case| Played {
            name: case.name.clone(),
            samples: case.entrants.iter().map(Samples::new).collect(),
        };
        Outcome { cases: row.cases.iter().map(case).collect(), row, seconds: 0.0 }
    }

    /// Plays so many rounds of `turns`, or of all, as long as they begin before `end`.
    fn play(
        &mut self,
        bench: &Bench,
        bar: &ProgressBar,
        rounds: usize,
        turns: Option<&Turns>,
        end: Option<Instant>,
    ) -> Result<(), Fault> {
        let entrants: usize = self.cases.iter().map(|case| case.samples.len()).sum();
        bar.inc_length((rounds * turns.map_or(entrants, Turns::len)) as u64);
        for _ in 0..rounds {
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            self.round(bench, bar, turns)?;
        }
        Ok(())
    }

    fn round(
        &mut self,
        bench: &Bench,
        bar: &ProgressBar,
        turns: Option<&Turns>,
    ) -> Result<(), Fault> {
        for (case, played) in self.row.cases.iter().zip(&mut self.cases) {
            for (entrant, samples) in case.entrants.iter().zip(&mut played.samples) {
                let turn = (case.name.clone(), entrant.label.clone());
                if turns.is_some_and(|turns| !turns.contains(&turn)) {
                    // Rounds of all entrants stay side by side.
                    samples.visits.push(None);
                    continue;
                }
                bar.set_message(format!("{}: {}", case.name, entrant.label));
                samples.visit(bench, entrant, bar)?;
                bar.inc(1);
            }
        }
        Ok(())
    }
}

impl Samples {
    fn new(entrant: &Entrant) -> Samples {
        Samples { label: entrant.label.clone(), visits: Vec::new(), stolen: 0, fault: None }
    }

    fn visit(&mut self, bench: &Bench, entrant: &Entrant, bar: &ProgressBar) -> Result<(), Fault> {
        if self.missing() || entrant.before && self.never_there() {
            return Ok(());
        }
        match undisturbed(bench, entrant) {
            Ok(Some(figures)) => self.visits.push(Some(figures)),
            Ok(None) => {
                self.visits.push(None);
                self.stolen += 1;
            }
            Err(fault) => {
                self.visits.push(None);
                self.fail(bench, entrant, fault, bar)?;
            }
        }
        Ok(())
    }

    /// Whether an older checkout seems to have no such program, or one that does not know what is asked of it.
    fn never_there(&self) -> bool {
        self.fault.is_some() && self.visits.iter().all(Option::is_none)
    }

    fn fail(
        &mut self,
        bench: &Bench,
        entrant: &Entrant,
        fault: Fault,
        bar: &ProgressBar,
    ) -> Result<(), Fault> {
        let missing = matches!(fault, Fault::Missing { .. });
        if bench.scale == Scale::Smoke && !missing && !entrant.before {
            return Err(Fault::Failed(format!("{}: {fault}", self.label)));
        }
        let word = if missing { "SKIPPED" } else { "failed" };
        bar.suspend(|| eprintln!("{word} {}: {fault}", self.label));
        self.fault.get_or_insert(fault);
        Ok(())
    }
}

/// Visits until the host steals no time; `None` if it always does.
fn undisturbed(bench: &Bench, entrant: &Entrant) -> Result<Option<Figures>, Fault> {
    let bench = if entrant.before { bench.before().unwrap_or(bench) } else { bench };
    for _ in 0..TRIES {
        let (start, before) = (Instant::now(), stolen_ticks());
        let figures = entrant.drive.visit(bench)?;
        let stolen = (stolen_ticks() - before) as f64 / 100.0;
        let had = start.elapsed().as_secs_f64() * bench.machine.cpus.len() as f64;
        if bench.scale == Scale::Smoke || stolen <= TICK || stolen < STOLEN * had {
            return Ok(Some(figures));
        }
    }
    Ok(None)
}

/// How many times as many rounds may follow as a row has.
const FURTHER: usize = 2;
/// Visits of one entrant in one round at most.
const TRIES: usize = 3;
/// A share of the machine's time that is too much to be stolen during a visit.
const STOLEN: f64 = 0.01;
/// What the kernel counts stolen time in: less than one is not known. In seconds.
const TICK: f64 = 0.01;
