//! What a row is: cases in which entrants are compared, and goals.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::drive::Drive;

/// A row of the board.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) workload: &'static str,
    /// Rounds in a full run.
    pub(crate) rounds: usize,
    pub(crate) cases: Vec<Case>,
    pub(crate) goals: Vec<Goal>,
    /// Figures to draw, of every entrant.
    pub(crate) charts: &'static [&'static str],
}

/// Entrants that take turns under the same conditions.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) entrants: Vec<Entrant>,
}

/// One that is compared, and how its figures are got.
pub(crate) struct Entrant {
    pub(crate) label: String,
    pub(crate) drive: Rc<dyn Drive>,
    /// Whether it has the programs of the other checkout.
    pub(crate) before: bool,
}

/// What is asked of a figure of one entrant of one case.
pub(crate) struct Goal {
    pub(crate) case: String,
    pub(crate) figure: &'static str,
    pub(crate) subject: String,
    pub(crate) against: Against,
    pub(crate) bound: Bound,
}

/// What a figure is divided by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Against {
    /// The same figure of another entrant, in the same round.
    Entrant(String),
    /// Another figure of the same entrant, in the same round.
    Figure(&'static str),
    /// Nothing: the figure itself is bounded.
    Nothing,
}

/// The goal for the ratio, or for the figure itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Entrant {
    pub(crate) fn new(label: impl Into<String>, drive: impl Drive + 'static) -> Entrant {
        Entrant { label: label.into(), drive: Rc::new(drive), before: false }
    }

    /// The same with the programs of the other checkout.
    fn of_before(&self) -> Entrant {
        Entrant { label: before(&self.label), drive: Rc::clone(&self.drive), before: true }
    }

    /// The same and its twin: what two measurements of one thing differ by.
    pub(crate) fn twins<D: Drive + Clone + 'static>(label: &str, drive: D) -> [Entrant; 2] {
        [Entrant::new(label, drive.clone()), Entrant::new(twin(label), drive)]
    }
}

/// What the second of two that are the same is called.
pub(crate) fn twin(label: &str) -> String {
    format!("{label} again")
}

/// What an entrant is called that has the programs of the other checkout.
pub(crate) fn before(label: &str) -> String {
    format!("{label} before")
}

impl Row {
    /// Lets everything that a goal asks something of take turns with itself before a change. Its turn follows that of
    /// its twin, or its own.
    pub(crate) fn with_before(mut self) -> Row {
        for case in &mut self.cases {
            let goals = self.goals.iter().filter(|goal| goal.case == case.name);
            let subjects: BTreeSet<&str> = goals.map(|goal| goal.subject.as_str()).collect();
            for subject in subjects {
                case.add_before(subject);
            }
        }
        self
    }
}

impl Case {
    fn add_before(&mut self, subject: &str) {
        let place_of = |label: &str| self.entrants.iter().position(|it| it.label == label);
        let Some(place) = place_of(subject) else { return };
        let older = self.entrants[place].of_before();
        self.entrants.insert(place_of(&twin(subject)).unwrap_or(place) + 1, older);
    }
}

impl Goal {
    /// `figure` of `subject` is at most `share` of that of `other`.
    pub(crate) fn at_most(
        case: &str,
        figure: &'static str,
        subject: &str,
        share: f64,
        other: &str,
    ) -> Goal {
        let against = Against::Entrant(other.to_owned());
        Goal::new(case, figure, subject, against, Bound::AtMost(share))
    }

    /// `figure` of `subject` is at least `share` of that of `other`.
    pub(crate) fn at_least(
        case: &str,
        figure: &'static str,
        subject: &str,
        share: f64,
        other: &str,
    ) -> Goal {
        let against = Against::Entrant(other.to_owned());
        Goal::new(case, figure, subject, against, Bound::AtLeast(share))
    }

    /// `figure` of `subject` itself is at most `value`.
    pub(crate) fn within(case: &str, figure: &'static str, subject: &str, value: f64) -> Goal {
        Goal::new(case, figure, subject, Against::Nothing, Bound::AtMost(value))
    }

    /// `figure` of `subject` is at most `share` of its `other` figure.
    pub(crate) fn flat(
        case: &str,
        figure: &'static str,
        subject: &str,
        share: f64,
        other: &'static str,
    ) -> Goal {
        Goal::new(case, figure, subject, Against::Figure(other), Bound::AtMost(share))
    }

    fn new(
        case: &str,
        figure: &'static str,
        subject: &str,
        against: Against,
        bound: Bound,
    ) -> Goal {
        Goal { case: case.to_owned(), figure, subject: subject.to_owned(), against, bound }
    }
}
