//! The result for programs.

use serde_json::{Map, Value, json};

use super::curve::{Curve, Step, points, spread};
use super::table::load_bound;
use crate::measure::bench::Bench;
use crate::measure::figures::Fault;
use crate::measure::rounds::{Outcome, Samples};
use crate::options::Options;
use crate::plan::Plan;
use crate::point::Point;
use crate::topology::Cpu;

/// `points` has every figure of every point; `curves` has their course over the workers.
pub(super) fn result(
    bench: &Bench,
    options: &Options,
    plan: &Plan,
    outcomes: &[Outcome],
    curves: &[Curve],
) -> Value {
    let machine = &bench.machine;
    json!({
        "date": machine.date,
        "kernel": machine.kernel,
        "machine": machine.name,
        "command": options.command(),
        "scale": bench.scale.name(),
        "topology": plan.topology.cpus.iter().map(cpu).collect::<Vec<_>>(),
        "server_cpus": plan.place.server,
        "load_cpus": plan.place.load,
        "shared": plan.place.shared(),
        "points": points(plan, outcomes).map(|(one, seen)| point(one, seen)).collect::<Vec<_>>(),
        "curves": curves.iter().map(curve).collect::<Vec<_>>(),
        "left_out": outcomes.iter().flat_map(Outcome::left_out).collect::<Vec<_>>(),
    })
}

/// Whether it can be read back and every point that was not left out has all its figures.
pub(super) fn check(text: &str, plan: &Plan, outcomes: &[Outcome]) -> Result<(), Fault> {
    let result: Value = serde_json::from_str(text).map_err(Fault::of("reading back the JSON"))?;
    let wanted = points(plan, outcomes).count();
    let found = result["points"].as_array().map_or(&[][..], Vec::as_slice);
    if found.len() != wanted || wanted == 0 {
        return Err(Fault::Failed(format!("{} points of {wanted} are in the JSON", found.len())));
    }
    for ((point, samples), written) in points(plan, outcomes).zip(found) {
        let whole = |figure: &&&str| written["figures"][**figure]["median"].is_number();
        let missing = REQUIRED.iter().find(|figure| !whole(figure));
        if let Some(figure) = missing.filter(|_| samples.fault.is_none() && samples.stolen == 0) {
            let name = point.workload.name();
            return Err(Fault::Failed(format!("{name}, {}: no {figure}", samples.label)));
        }
    }
    Ok(())
}

fn cpu(cpu: &Cpu) -> Value {
    json!({
        "cpu": cpu.id,
        "node": cpu.node,
        "package": cpu.package,
        "cache": cpu.cache,
        "core": cpu.core,
        "thread": cpu.thread,
    })
}

fn point(point: &Point, samples: &Samples) -> Value {
    let figures = samples.figures().into_iter().filter_map(|figure| {
        let spread = spread(samples, figure)?;
        let value = json!({
            "median": spread.median,
            "quartiles": [spread.low, spread.high],
            "rounds": samples.figure(figure),
        });
        Some((figure.to_owned(), value))
    });
    let size = point.size();
    json!({
        "workload": point.workload.name(),
        "workers": size.workers,
        "shards": size.shards,
        "auto": point.shape.auto,
        "server_cpus": point.place.server_of(size.workers),
        "load": point.workload.load(size, &point.settings),
        "load_bound": load_bound(samples),
        "figures": figures.collect::<Map<_, _>>(),
    })
}

fn curve(curve: &Curve) -> Value {
    json!({
        "workload": curve.workload.name(),
        "shards": curve.shards,
        "points": curve.points.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "workers": step.workers,
        "server_cpus": step.server_cpus,
        "rate": step.rate,
        "p99_us": step.p99_us,
        "cpu_us": step.cpu_us,
        "speedup": step.speedup,
        "efficiency": step.efficiency,
    })
}

/// What every point has to have.
const REQUIRED: [&str; 9] = [
    "rate",
    "p50_us",
    "p99_us",
    "p999_us",
    "cpu_us",
    "steals_per_1000",
    "empty_wakes_per_1000",
    "rescues",
    "server_busy",
];
