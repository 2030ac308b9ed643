//! Further rounds where a goal is unclear.

use std::time::Duration;

use crate::judge;
use crate::measure::rounds::{Outcome, play};
use crate::measure::row::{Entrant, Goal, Row, before};
use crate::scripted::{CASE, Scripted, bench, row};

/// Failure: A/A scatters by more than the distance of the goal, and no more is measured.
#[test]
fn unclear_goal_gets_further_rounds_of_its_entrants() {
    let outcome = played(unclear(), None, LONG);
    assert_eq!(visits(&outcome, "heist"), 9);
    assert_eq!(visits(&outcome, "heist again"), 9);
    assert_eq!(visits(&outcome, "tokio"), 9);
    assert_eq!(visits(&outcome, "smol"), 3, "its goal is met");
}

/// Failure: what has become of a figure is told from fewer rounds than the scatter that it is judged by.
#[test]
fn older_self_of_an_unclear_subject_gets_the_same_rounds() {
    let mut row = unclear();
    row.cases[0].entrants.push(Scripted::entrant(&before("heist"), &[9.9]));
    assert_eq!(visits(&played(row, None, LONG), "heist before"), 9);
}

/// Failure: figures of different rounds are divided by each other.
#[test]
fn rounds_of_all_entrants_stay_side_by_side() {
    let outcome = played(unclear(), None, LONG);
    let lengths: Vec<usize> =
        outcome.cases[0].samples.iter().map(|it| it.figure("cpu_us").len()).collect();
    assert_eq!(lengths, [9; 4]);
}

#[test]
fn goal_that_becomes_clear_gets_no_more() {
    let mut row = unclear();
    // From the fourth round on, the two measurements of one thing are alike.
    row.cases[0].entrants[1] =
        Scripted::entrant("heist again", &[7.0, 13.0, 10.0, 9.7, 9.7, 9.7, 9.7, 9.7, 9.7]);
    let outcome = played(row, None, LONG);
    assert_eq!(visits(&outcome, "heist"), 6);
}

#[test]
fn clear_row_has_its_own_rounds_alone() {
    let mut row = unclear();
    row.goals.remove(0);
    assert_eq!(visits(&played(row, None, LONG), "heist"), 3);
}

/// Failure: a run takes longer than was asked for.
#[test]
fn further_rounds_are_bounded_by_what_was_asked_for_and_by_time() {
    assert_eq!(visits(&played(unclear(), Some(4), LONG), "heist"), 4);
    assert_eq!(visits(&played(unclear(), None, Duration::ZERO), "heist"), 3);
}

/// The ratio to tokio is 0.97, and two measurements of one thing are 30 % apart.
fn unclear() -> Row {
    let entrants: Vec<Entrant> = vec![
        Scripted::entrant("heist", &[9.7]),
        Scripted::entrant("heist again", &[7.0, 13.0, 10.0]),
        Scripted::entrant("tokio", &[10.0]),
        Scripted::entrant("smol", &[100.0]),
    ];
    let goals = ["tokio", "smol"].map(|other| Goal::at_most(CASE, "cpu_us", "heist", 1.0, other));
    row(entrants, goals.into())
}

fn played(row: Row, rounds: Option<usize>, time: Duration) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    play(&bench(folder.path(), rounds), row, time, judge::unclear).unwrap()
}

/// How many times an entrant had its turn.
fn visits(outcome: &Outcome, label: &str) -> usize {
    let samples = outcome.cases[0].samples.iter().find(|samples| samples.label == label).unwrap();
    samples.figure("cpu_us").iter().flatten().count()
}

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3_600);
