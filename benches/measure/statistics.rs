//! Medians, quartiles and verdicts: numbers in, numbers out.

/// A median between its quartiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
    pub(crate) count: usize,
}

/// Whether a goal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    NotMet,
    /// Nearer to the bound than two measurements of one thing are to each other.
    Unclear,
    /// There are no figures.
    Unknown,
}

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Better,
    Same,
    Worse,
    /// There are no figures.
    Unknown,
}

/// A bound, as what a good ratio has to be below: for one that has to be above, both are inverted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Below(pub(crate) f64);

impl Spread {
    /// Of these values; `None` when there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        (!sorted.is_empty()).then(|| Spread {
            low: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            high: quantile(&sorted, 0.75),
            count: sorted.len(),
        })
    }

    /// Of the inverse of the values.
    pub(crate) fn inverse(self) -> Spread {
        let Spread { low, median, high, count } = self;
        Spread { low: 1.0 / high, median: 1.0 / median, high: 1.0 / low, count }
    }

    /// How far from 1 the median may be by chance: as far as the quartiles go, or with more than [`FEW`] values as much
    /// nearer to the median as the median of so many scatters less.
    fn scatter(self) -> f64 {
        let narrowing = (FEW / self.count as f64).sqrt().min(1.0);
        let bounds = [self.low, self.high].map(|it| self.median + (it - self.median) * narrowing);
        bounds.map(|bound| (bound - 1.0).abs()).into_iter().fold(0.0, f64::max)
    }
}

impl Verdict {
    /// The rule of the board. `twins` is the ratio of a thing to itself.
    ///
    /// - Within the bound, and further from 1 than the twins' quartiles, or further inside the
    ///   bound than the twins scatter: met.
    /// - Beyond the bound by more than the twins scatter: not met.
    /// - Otherwise the result is unclear.
    pub(crate) fn of(ratio: Option<f64>, Below(bound): Below, twins: Option<Spread>) -> Verdict {
        let (Some(ratio), Some(twins)) = (ratio, twins) else { return Verdict::Unknown };
        let scatter = twins.scatter() * bound.min(1.0);
        let apart = (ratio - 1.0).abs() > twins.scatter();
        match ratio <= bound {
            true if apart || bound - ratio > scatter => Verdict::Met,
            false if ratio - bound > scatter => Verdict::NotMet,
            _ => Verdict::Unclear,
        }
    }
}

impl Change {
    /// `ratio` is what a figure is to what it was: less is better. `twins` is the ratio of a thing to itself.
    ///
    /// Better or worse is a ratio that is further from 1 than the twins scatter, and whose own quartiles are both on its
    /// side of 1.
    pub(crate) fn of(ratio: Option<Spread>, twins: Option<Spread>) -> Change {
        let (Some(ratio), Some(twins)) = (ratio, twins) else { return Change::Unknown };
        match (ratio.median - 1.0).abs() > twins.scatter() {
            true if ratio.low > 1.0 => Change::Worse,
            true if ratio.high < 1.0 => Change::Better,
            _ => Change::Same,
        }
    }
}

/// The ratio of each round in which both have a value. One that divides by nothing is left out.
pub(crate) fn ratios(ones: &[Option<f64>], others: &[Option<f64>]) -> Vec<f64> {
    let pairs = ones.iter().zip(others).filter_map(|(one, other)| Some((*one)? / (*other)?));
    pairs.filter(|ratio| ratio.is_finite()).collect()
}

/// The geometric mean; 1 of nothing.
pub(crate) fn geometric_mean(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (sum / values.len().max(1) as f64).exp()
}

/// Between the two values next to it, in proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * share;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// The rounds of most rows.
const FEW: f64 = 7.0;
