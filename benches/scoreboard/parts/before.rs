//! Comparing with an older checkout of heist in the same run.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::judge;
use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures};
use crate::measure::rounds::{Outcome, Turns, play};
use crate::measure::row::{Entrant, Goal};
use crate::measure::statistics::Change;
use crate::scripted::{CASE, Scripted, bench, row};

/// Failure: a change is compared with what another day has recorded, or with the load of the older checkout.
#[test]
fn older_programs_take_turns_under_the_load_of_this_checkout() {
    let outcome = compared(vec![Goal::at_most(CASE, "cpu_us", "heist", 1.0, "tokio")]);
    let labels: Vec<&str> = outcome.cases[0].samples.iter().map(|it| &*it.label).collect();
    assert_eq!(labels, ["heist", "heist again", "heist before", "tokio"]);
}

#[test]
fn third_column_says_whether_a_figure_got_worse() {
    let goals = vec![
        Goal::at_most(CASE, "cpu_us", "heist", 1.0, "tokio"),
        Goal::at_least(CASE, "per_cpu_second", "heist", 1.0, "tokio"),
    ];
    let outcome = compared(goals);
    let changes: Vec<Change> =
        judge::lines(&outcome).iter().map(|line| line.before.as_ref().unwrap().change).collect();
    assert_eq!(changes, [Change::Worse, Change::Better]);
    let before = judge::lines(&outcome).remove(0).before.unwrap();
    assert_eq!(before.value, Some(4.0));
    assert_eq!(before.ratio.unwrap().median, 2.0);
}

#[test]
fn figure_that_was_nothing_is_the_same_or_worse() {
    let goals = ["none", "some"].map(|subject| Goal::within(CASE, "cpu_us", subject, 0.0));
    let outcome = played(
        vec![Entrant::new("none", Since(0.0)), Entrant::new("some", Since(3.0))],
        goals.into(),
    );
    let lines = judge::lines(&outcome);
    let changes = lines.iter().map(|line| line.before.as_ref().unwrap().change);
    assert_eq!(changes.collect::<Vec<_>>(), [Change::Same, Change::Worse]);
}

/// Failure: an older checkout has no such program, and the row is lost with it.
#[test]
fn program_that_the_older_checkout_lacks_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let goals = vec![Goal::at_most(CASE, "cpu_us", "heist", 1.0, "tokio")];
    let failures = Rc::new(Cell::new(0));
    let mut entrants = Vec::from(Entrant::twins("heist", OnlyNow(Rc::clone(&failures))));
    entrants.push(Scripted::entrant("tokio", &[2.0]));
    let bench = bench(folder.path(), None).with_before(Path::new("/before"), |_| Ok(())).unwrap();
    let row = row(entrants, goals).with_before();
    let outcome = play(&bench, row, Duration::ZERO, |_| Turns::new()).unwrap();
    let line = judge::lines(&outcome).remove(0);
    assert_eq!((line.value, line.other), (Some(1.0), Some(2.0)));
    assert_eq!(line.before.unwrap().change, Change::Unknown);
    assert_eq!(outcome.left_out(), ["heist before: no such program"]);
    assert_eq!(failures.get(), 1, "it is not tried again");
}

#[test]
fn without_an_older_checkout_there_is_no_third_column() {
    let folder = tempfile::tempdir().unwrap();
    let goals = vec![Goal::at_most(CASE, "cpu_us", "heist", 1.0, "tokio")];
    let entrants = ["heist", "tokio"].map(|label| Scripted::entrant(label, &[1.0]));
    let row = row(entrants.into(), goals);
    let bench = bench(folder.path(), None);
    let outcome = play(&bench, row, Duration::ZERO, |_| Turns::new()).unwrap();
    assert!(judge::lines(&outcome).remove(0).before.is_none());
}

/// A run whose older checkout has half of each figure.
fn compared(goals: Vec<Goal>) -> Outcome {
    let mut entrants = Vec::from(Entrant::twins("heist", Placed));
    entrants.push(Scripted::entrant("tokio", &[10.0]));
    played(entrants, goals)
}

/// A run with an older checkout.
fn played(entrants: Vec<Entrant>, goals: Vec<Goal>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(folder.path(), None).with_before(Path::new("/before"), |_| Ok(())).unwrap();
    let row = row(entrants, goals).with_before();
    play(&bench, row, Duration::ZERO, |_| Turns::new()).unwrap()
}

/// Its figure is told by where its program is.
#[derive(Clone)]
struct Placed;

impl Drive for Placed {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        let is_before =
            |name| bench.own(name).components().any(|part| part.as_os_str() == "before");
        assert!(!is_before("load") && !is_before("tokio"), "only heist is of the older checkout");
        let value = if is_before("heist") && is_before("tasks_heist") { 4.0 } else { 8.0 };
        Ok(["cpu_us", "per_cpu_second"].map(|name| (name.to_owned(), value)).into())
    }
}

/// Its figure was nothing in the older checkout.
struct Since(f64);

impl Drive for Since {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        let value = if bench.before().is_some() { self.0 } else { 0.0 };
        Ok(Figures::from([("cpu_us".to_owned(), value)]))
    }
}

/// Fails where its program is of the older checkout, and counts that.
#[derive(Clone)]
struct OnlyNow(Rc<Cell<usize>>);

impl Drive for OnlyNow {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        match bench.before() {
            Some(_) => Ok(Figures::from([("cpu_us".to_owned(), 1.0)])),
            None => {
                self.0.set(self.0.get() + 1);
                Err(Fault::Failed("no such program".to_owned()))
            }
        }
    }
}
