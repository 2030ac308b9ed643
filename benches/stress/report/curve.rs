//! How a workload's figures go with the number of workers.

use crate::measure::rounds::{Outcome, Samples};
use crate::measure::statistics::Spread;
use crate::plan::Plan;
use crate::point::Point;
use crate::workload::Workload;

/// The points of one workload that differ in workers only.
pub(crate) struct Curve {
    pub(crate) workload: Workload,
    /// `auto`, or a number of shards.
    pub(crate) shards: String,
    /// In the order of their workers.
    pub(crate) points: Vec<Step>,
}

/// One point of a curve.
pub(crate) struct Step {
    pub(crate) workers: usize,
    pub(crate) server_cpus: usize,
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) p99_us: f64,
    pub(crate) cpu_us: f64,
    /// Its rate, divided by that of the first of the curve.
    pub(crate) speedup: f64,
    /// The same, divided by how many times as many CPUs it has.
    pub(crate) efficiency: f64,
}

/// Every point that was visited, with what was found there.
pub(crate) fn points<'a>(
    plan: &'a Plan,
    outcomes: &'a [Outcome],
) -> impl Iterator<Item = (&'a Point, &'a Samples)> {
    plan.workloads
        .iter()
        .zip(outcomes)
        .flat_map(|((_, groups), outcome)| groups.iter().zip(&outcome.cases))
        .flat_map(|(group, case)| group.iter().zip(&case.samples))
}

/// The median of a figure and its quartiles.
pub(crate) fn spread(samples: &Samples, figure: &str) -> Option<Spread> {
    Spread::of(&samples.figure(figure).into_iter().flatten().collect::<Vec<_>>())
}

/// The curves of every workload: `auto`, and each number of shards that was asked for.
pub(crate) fn all(plan: &Plan, outcomes: &[Outcome]) -> Vec<Curve> {
    let mut curves = Vec::new();
    for (workload, _) in &plan.workloads {
        let of_workload =
            || points(plan, outcomes).filter(|(point, _)| point.workload == *workload);
        let mut counts: Vec<usize> = of_workload().map(|(point, _)| point.shape.shards).collect();
        counts.sort_unstable();
        counts.dedup();
        let mut add = |shards: String, wanted: &dyn Fn(&Point) -> bool| {
            let points = steps(of_workload().filter(|(point, _)| wanted(point)));
            if !points.is_empty() {
                curves.push(Curve { workload: *workload, shards, points });
            }
        };
        add("auto".to_owned(), &|point| point.shape.auto);
        for count in counts {
            add(count.to_string(), &|point| point.shape.shards == count);
        }
    }
    curves
}

fn steps<'a>(points: impl Iterator<Item = (&'a Point, &'a Samples)>) -> Vec<Step> {
    let mut steps: Vec<Step> = points.filter_map(|(point, samples)| step(point, samples)).collect();
    steps.sort_unstable_by_key(|step| step.workers);
    if let Some((rate, cpus)) = steps.first().map(|first| (first.rate, first.server_cpus)) {
        for step in &mut steps {
            step.speedup = step.rate / rate;
            step.efficiency = step.speedup * cpus as f64 / step.server_cpus as f64;
        }
    }
    steps
}

/// Not compared with any other yet. `None` where every visit failed.
fn step(point: &Point, samples: &Samples) -> Option<Step> {
    let median = |figure| spread(samples, figure).map(|spread| spread.median);
    Some(Step {
        workers: point.shape.workers,
        server_cpus: point.size().server_cpus,
        rate: median("rate")?,
        p99_us: median("p99_us")?,
        cpu_us: median("cpu_us")?,
        speedup: 1.0,
        efficiency: 1.0,
    })
}
