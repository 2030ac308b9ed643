//! One goal over all records.

use super::records::{Bound, Key, Line, Record};
use crate::measure::write::number;

/// One goal over all records that have it.
pub(super) struct Series {
    pub(super) key: Key,
    /// What the newest of the records asks.
    pub(super) goal: Bound,
    /// Oldest first.
    pub(super) points: Vec<Point>,
}

/// What one record found.
pub(super) struct Point {
    /// The index of the record.
    pub(super) record: usize,
    /// Of the newest goal: 1 is the goal, and less is better, also where the goal is a least one. Where the
    /// goal is nothing at all, it is the figure itself.
    pub(super) part: Part,
    pub(super) value: f64,
    /// The ratio to what the goal divides by; the figure where it divides by nothing.
    judged: f64,
    /// As far as two measurements of one thing were from each other.
    scatter: f64,
    pub(super) verdict: String,
    /// Worse than the point before it, if that is of the same machine and scale.
    pub(super) worse: bool,
}

/// A median between its quartiles.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

/// The goals in the order of the newest record that has them, then those that are gone.
pub(super) fn all(records: &[Record]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for record in records.iter().rev() {
        for line in &record.lines {
            if !all.iter().any(|series| series.key == line.key) {
                all.push(Series::new(&line.key, line.bound, records));
            }
        }
    }
    all.retain(|series| !series.points.is_empty());
    all
}

/// The goals that are worse in the newest record than before.
pub(super) fn worse_now<'a>(
    records: &[Record],
    all: &'a [Series],
) -> impl Iterator<Item = &'a Series> {
    let newest = records.len() - 1;
    all.iter().filter(move |series| {
        series.points.last().is_some_and(|point| point.worse && point.record == newest)
    })
}

impl Series {
    fn new(key: &Key, goal: Bound, records: &[Record]) -> Series {
        let mut points: Vec<Point> = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let line = record.lines.iter().find(|line| line.key == *key);
            let Some(mut point) = line.and_then(|line| Point::new(index, line, goal)) else {
                continue;
            };
            let alike = |point: &&Point| records[point.record].is_like(record);
            let before = points.iter().rev().find(alike);
            point.worse = before.is_some_and(|before| point.is_worse_than(before));
            points.push(point);
        }
        Series { key: key.clone(), goal, points }
    }

    /// The goal and how it went, on one line.
    pub(super) fn words(&self) -> String {
        let Key { row, case, figure, .. } = &self.key;
        let values: Vec<String> = self.points.iter().map(|point| number(point.judged)).collect();
        format!("{row}, {case}: {figure} of {}: {}", self.goal_words(), values.join(" → "))
    }

    /// Subject and goal.
    pub(super) fn goal_words(&self) -> String {
        let (sign, bound) = match self.goal {
            Bound::AtMost(bound) => ("≤", bound),
            Bound::AtLeast(bound) => ("≥", bound),
        };
        let subject = &self.key.subject;
        match &self.key.other {
            Some(other) => format!("{subject} {sign} {bound} × {other}"),
            None => format!("{subject} {sign} {bound}"),
        }
    }

    /// Whether the points are the figure itself, because there is no ratio to nothing.
    pub(super) fn of_nothing(&self) -> bool {
        self.goal == Bound::AtMost(0.0)
    }
}

impl Point {
    /// `None` where the record has no figure.
    fn new(record: usize, line: &Line, goal: Bound) -> Option<Point> {
        let value = line.value?;
        let part = match goal {
            Bound::AtMost(bound) if bound > 0.0 => Part::of(line)?.over(bound),
            Bound::AtMost(_) => Part { low: value, median: value, high: value },
            Bound::AtLeast(bound) => Part::of(line)?.over(bound).inverse(),
        };
        let finite = [part.low, part.median, part.high].iter().all(|part| part.is_finite());
        finite.then_some(Point {
            record,
            part,
            value,
            judged: line.ratio.filter(|_| line.key.other.is_some()).unwrap_or(value),
            scatter: line.scatter,
            verdict: line.verdict.clone(),
            worse: false,
        })
    }

    /// By more than two measurements of one thing scatter in either record, and the quartiles are apart.
    fn is_worse_than(&self, before: &Point) -> bool {
        let scatter = self.scatter.max(before.scatter);
        self.part.low > before.part.high && self.part.median > before.part.median * (1.0 + scatter)
    }
}

impl Part {
    /// What is to be compared with the bound.
    fn of(line: &Line) -> Option<Part> {
        let (median, [low, high]) = (line.ratio?, line.quartiles?);
        let ratio = Part { low, median, high };
        match (line.key.other.is_some(), line.bound) {
            (true, _) => Some(ratio),
            // The record divided the figure by the bound that it had then.
            (false, Bound::AtMost(bound) | Bound::AtLeast(bound)) => Some(ratio.over(1.0 / bound)),
        }
    }

    fn over(self, bound: f64) -> Part {
        let Part { low, median, high } = self;
        Part { low: low / bound, median: median / bound, high: high / bound }
    }

    fn inverse(self) -> Part {
        Part { low: 1.0 / self.high, median: 1.0 / self.median, high: 1.0 / self.low }
    }
}
