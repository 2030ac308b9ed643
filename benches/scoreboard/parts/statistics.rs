//! Medians, quartiles and verdicts.

use crate::measure::statistics::{Below, Change, Spread, Verdict, geometric_mean, ratios};

const TWINS: Spread = Spread { low: 0.98, median: 1.0, high: 1.02, count: 7 };

#[test]
fn quartiles_of_few_values_lie_between_them() {
    let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
    assert_eq!(spread, Spread { low: 1.75, median: 2.5, high: 3.25, count: 4 });
    assert_eq!(Spread::of(&[5.0]).unwrap().median, 5.0);
    assert_eq!(Spread::of(&[]), None);
}

#[test]
fn a_dropped_round_does_not_shift_the_others() {
    let ones = [Some(2.0), None, Some(6.0), Some(1.0)];
    let others = [Some(1.0), Some(9.0), Some(2.0), Some(0.0)];
    assert_eq!(ratios(&ones, &others), [2.0, 3.0]);
}

#[test]
fn a_tie_with_the_twins_is_not_taken_for_a_win() {
    assert_eq!(Verdict::of(Some(0.99), Below(1.0), Some(TWINS)), Verdict::Unclear);
    assert_eq!(Verdict::of(Some(0.97), Below(1.0), Some(TWINS)), Verdict::Met);
    assert_eq!(Verdict::of(Some(0.99), Below(1.02), Some(TWINS)), Verdict::Met);
}

#[test]
fn a_miss_by_less_than_the_scatter_is_not_taken_for_a_loss() {
    assert_eq!(Verdict::of(Some(1.01), Below(1.0), Some(TWINS)), Verdict::Unclear);
    assert_eq!(Verdict::of(Some(1.03), Below(1.0), Some(TWINS)), Verdict::NotMet);
    assert_eq!(Verdict::of(Some(0.64), Below(0.6), Some(TWINS)), Verdict::NotMet);
}

#[test]
fn figures_that_count_exactly_are_met_however_close() {
    let exact = Spread { low: 1.0, median: 1.0, high: 1.0, count: 3 };
    assert_eq!(Verdict::of(Some(2.04 / 2.05), Below(1.0), Some(exact)), Verdict::Met);
    assert_eq!(Verdict::of(Some(2.06 / 2.05), Below(1.0), Some(exact)), Verdict::NotMet);
}

#[test]
fn one_slow_workload_weighs_no_more_than_one_fast_one() {
    assert!((geometric_mean(&[0.5, 2.0]) - 1.0).abs() < 1e-12);
    assert_eq!(geometric_mean(&[]), 1.0);
}

#[test]
fn what_was_not_measured_is_neither_met_nor_missed() {
    assert_eq!(Verdict::of(None, Below(1.0), Some(TWINS)), Verdict::Unknown);
    assert_eq!(Verdict::of(Some(0.5), Below(1.0), None), Verdict::Unknown);
}

/// Failure: more rounds are played, and what they say counts for no more.
#[test]
fn four_times_as_many_rounds_halve_the_scatter() {
    let wide = Spread { low: 0.96, median: 1.0, high: 1.04, count: 7 };
    assert_eq!(Verdict::of(Some(0.97), Below(1.0), Some(wide)), Verdict::Unclear);
    assert_eq!(Verdict::of(Some(1.03), Below(1.0), Some(wide)), Verdict::Unclear);
    let many = Spread { count: 28, ..wide };
    assert_eq!(Verdict::of(Some(0.97), Below(1.0), Some(many)), Verdict::Met);
    assert_eq!(Verdict::of(Some(1.03), Below(1.0), Some(many)), Verdict::NotMet);
    assert_eq!(Verdict::of(Some(0.985), Below(1.0), Some(many)), Verdict::Unclear);
    let few = Spread { count: 3, ..wide };
    assert_eq!(Verdict::of(Some(0.95), Below(1.0), Some(few)), Verdict::Met);
}

#[test]
fn change_within_the_scatter_is_none() {
    let ratio = |low, median, high| Some(Spread { low, median, high, count: 7 });
    assert_eq!(Change::of(ratio(1.005, 1.01, 1.015), Some(TWINS)), Change::Same);
    assert_eq!(Change::of(ratio(0.99, 1.05, 1.1), Some(TWINS)), Change::Same);
    assert_eq!(Change::of(ratio(1.03, 1.05, 1.1), Some(TWINS)), Change::Worse);
    assert_eq!(Change::of(ratio(0.9, 0.95, 0.97), Some(TWINS)), Change::Better);
    assert_eq!(Change::of(ratio(0.9, 0.95, 0.97), None), Change::Unknown);
    assert_eq!(Change::of(None, Some(TWINS)), Change::Unknown);
}
