//! From the figures of the rounds to ratios and verdicts.

use crate::measure::rounds::{Outcome, Samples, Turns};
use crate::measure::row::{Against, Bound, Goal, before, twin};
use crate::measure::statistics::{Below, Change, Spread, Verdict, ratios};

/// One line of the board: a goal and what was found.
pub(crate) struct Line {
    pub(crate) row: &'static str,
    pub(crate) case: String,
    /// The goal in words.
    pub(crate) goal: String,
    pub(crate) figure: &'static str,
    pub(crate) subject: String,
    /// Median of the figure.
    pub(crate) value: Option<f64>,
    /// Median of the server it is compared with.
    pub(crate) other: Option<f64>,
    /// The ratios of the rounds; without something to divide by, that of the figure to its bound.
    pub(crate) ratio: Option<Spread>,
    /// The ratios of two measurements of the same thing.
    pub(crate) twins: Option<Spread>,
    pub(crate) verdict: Verdict,
    /// The same figure before a change, where that took turns, too.
    pub(crate) before: Option<Before>,
}

/// The subject of a goal beside itself, of another checkout.
pub(crate) struct Before {
    /// Median of the figure.
    pub(crate) value: Option<f64>,
    /// What the figure is to that, round by round.
    pub(crate) ratio: Option<Spread>,
    pub(crate) change: Change,
}

/// The lines of a row. Goals about entrants that were left out are left out.
pub(crate) fn lines(outcome: &Outcome) -> Vec<Line> {
    outcome.row.goals.iter().filter_map(|goal| line(outcome, goal)).collect()
}

/// The entrants of each goal of which nothing can be said yet.
pub(crate) fn unclear(outcome: &Outcome) -> Turns {
    let goals = outcome.row.goals.iter();
    let unclear = goals
        .filter(|goal| line(outcome, goal).is_some_and(|line| line.verdict == Verdict::Unclear));
    let turns = unclear.flat_map(|goal| {
        let case = outcome.cases.iter().find(|case| case.name == goal.case);
        let twins = case.and_then(|case| pair(&case.samples, goal)).into_iter().flatten();
        let other = match &goal.against {
            Against::Entrant(other) => Some(other.as_str()),
            Against::Figure(_) | Against::Nothing => None,
        };
        let older = before(&goal.subject);
        let mut samples = case.into_iter().flat_map(|case| &case.samples);
        let older = samples.find(|samples| samples.label == older);
        let labels = twins.chain(older).map(|samples| &*samples.label);
        let labels = labels.chain([&*goal.subject]).chain(other);
        labels.map(|label| (goal.case.clone(), label.to_owned())).collect::<Vec<_>>()
    });
    turns.collect()
}

fn line(outcome: &Outcome, goal: &Goal) -> Option<Line> {
    let case = outcome.cases.iter().find(|case| case.name == goal.case)?;
    let samples = |label: &str| case.samples.iter().find(|samples| samples.label == label);
    let values = samples(&goal.subject)?.figure(goal.figure);
    let others = match &goal.against {
        Against::Entrant(label) => {
            samples(label).filter(|other| !other.missing())?.figure(goal.figure)
        }
        Against::Figure(figure) => samples(&goal.subject)?.figure(figure),
        Against::Nothing => vec![Some(goal.bound.value()); values.len()],
    };
    let ratio = Spread::of(&ratios(&values, &others));
    let twins = twins(&case.samples, goal);
    Some(Line {
        row: outcome.row.name,
        case: goal.case.clone(),
        goal: words(goal),
        figure: goal.figure,
        subject: goal.subject.clone(),
        value: median(&values),
        other: median(&others),
        verdict: verdict(goal, median(&values), ratio, twins),
        before: samples(&before(&goal.subject)).map(|older| compare(goal, &values, older, twins)),
        ratio,
        twins,
    })
}

fn compare(goal: &Goal, values: &[Option<f64>], older: &Samples, twins: Option<Spread>) -> Before {
    let olds = older.figure(goal.figure);
    let ratio = Spread::of(&ratios(values, &olds));
    let less_is_better = match goal.bound {
        Bound::AtMost(_) => ratio,
        Bound::AtLeast(_) => ratio.map(Spread::inverse),
    };
    let change = match (ratio, median(values), median(&olds)) {
        // There is no ratio to nothing.
        (None, Some(now), Some(old)) if now == old => Change::Same,
        (None, Some(_), Some(_)) if goal.bound.is_at_most() => Change::Worse,
        _ => Change::of(less_is_better, twins),
    };
    Before { value: median(&olds), ratio, change }
}

/// Two measurements of one thing.
fn twins(all: &[Samples], goal: &Goal) -> Option<Spread> {
    let [one, other] = pair(all, goal)?;
    Spread::of(&ratios(&one.figure(goal.figure), &other.figure(goal.figure)))
}

/// The subject and its twin; where it has none, any entrant of the case and its own.
fn pair<'a>(all: &'a [Samples], goal: &Goal) -> Option<[&'a Samples; 2]> {
    let pair = |label: &str| {
        let find = |label: &str| all.iter().find(|samples| samples.label == label);
        Some([find(label)?, find(&twin(label))?])
    };
    pair(&goal.subject).or_else(|| all.iter().find_map(|samples| pair(&samples.label)))
}

fn verdict(
    goal: &Goal,
    value: Option<f64>,
    ratio: Option<Spread>,
    twins: Option<Spread>,
) -> Verdict {
    // A count that is to be nothing at all: there is no ratio to it.
    if goal.against == Against::Nothing && goal.bound.value() == 0.0 {
        return match value {
            Some(value) if value <= 0.0 => Verdict::Met,
            Some(_) => Verdict::NotMet,
            None => Verdict::Unknown,
        };
    }
    let below = match (&goal.against, goal.bound) {
        (Against::Nothing, _) => Below(1.0),
        (_, Bound::AtMost(bound)) => Below(bound),
        (_, Bound::AtLeast(bound)) => Below(1.0 / bound),
    };
    let ratio = ratio.map(|ratio| match goal.bound {
        Bound::AtMost(_) => ratio.median,
        Bound::AtLeast(_) => 1.0 / ratio.median,
    });
    Verdict::of(ratio, below, twins)
}

fn words(goal: &Goal) -> String {
    let (sign, bound) = match goal.bound {
        Bound::AtMost(bound) => ("≤", bound),
        Bound::AtLeast(bound) => ("≥", bound),
    };
    let bound = format!("{bound:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
    match &goal.against {
        Against::Entrant(other) => format!("{sign} {bound} × {other}"),
        Against::Figure(other) => format!("{sign} {bound} × its {other}"),
        Against::Nothing => format!("{sign} {bound}"),
    }
}

fn median(values: &[Option<f64>]) -> Option<f64> {
    Spread::of(&values.iter().flatten().copied().collect::<Vec<_>>()).map(|spread| spread.median)
}

impl Bound {
    fn is_at_most(self) -> bool {
        matches!(self, Bound::AtMost(_))
    }

    fn value(self) -> f64 {
        match self {
            Bound::AtMost(bound) | Bound::AtLeast(bound) => bound,
        }
    }
}
