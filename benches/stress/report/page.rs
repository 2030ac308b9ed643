//! The result as one page that needs nothing else.

use super::chart;
use super::curve::{Curve, Step};
use super::table;
use crate::measure::bench::Bench;
use crate::measure::figures::Fault;
use crate::measure::rounds::Outcome;
use crate::measure::write::{STYLE, escape, number};
use crate::options::Options;
use crate::plan::{Plan, ranges};

pub(super) fn render(
    bench: &Bench,
    options: &Options,
    plan: &Plan,
    outcomes: &[Outcome],
    curves: &[Curve],
) -> Result<String, Fault> {
    let machine = &bench.machine;
    let shared =
        if plan.place.shared() { " (shared: nothing here shows how it scales)" } else { "" };
    let about = [
        ("date", machine.date.clone()),
        ("machine", machine.name.clone()),
        ("topology", plan.topology.words()),
        ("kernel", machine.kernel.clone()),
        ("server on CPUs", ranges(&plan.place.server)),
        ("load on CPUs", format!("{}{shared}", ranges(&plan.place.load))),
        ("command", options.command()),
    ];
    let about = about.map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escape(&value)));
    let mut sections = String::new();
    for outcome in outcomes {
        sections += &section(plan, outcome, curves)?;
    }
    let page = PAGE.replace("/*style*/", STYLE).replace("<!--about-->", &about.concat());
    Ok(page.replace("<!--workloads-->", &sections))
}

fn section(plan: &Plan, outcome: &Outcome, curves: &[Curve]) -> Result<String, Fault> {
    let name = outcome.row.name;
    let mine: Vec<&Curve> = curves.iter().filter(|curve| curve.workload.name() == name).collect();
    let mut charts = String::new();
    if mine.iter().any(|curve| curve.points.len() > 1) {
        for (caption, figure) in CHARTS {
            let svg = chart::draw(&mine, figure)?;
            charts += &format!("<figure><figcaption>{caption}</figcaption>{svg}</figure>");
        }
    }
    let left_out: Vec<String> = outcome.left_out().iter().map(|word| escape(word)).collect();
    Ok(format!(
        "<section><h2 id=\"{name}\">{name}</h2><p>{}</p><div class=\"charts\">{charts}</div>{}{}\
         <p class=\"left\">{}</p></section>\n",
        escape(outcome.row.workload),
        table(&table::header(), &table::rows(plan, outcome)),
        scaling(&mine),
        left_out.join("; "),
    ))
}

/// How far the throughput of a closed loop grows with the CPUs.
fn scaling(curves: &[&Curve]) -> String {
    let grows = curves.iter().filter(|curve| !curve.workload.open() && curve.points.len() > 1);
    let row = |curve: &&Curve, step: &Step| {
        let figures = [step.rate, step.speedup, step.efficiency].map(number);
        let mut row = vec![curve.shards.clone(), step.workers.to_string()];
        row.push(step.server_cpus.to_string());
        row.extend(figures);
        row
    };
    let rows: Vec<Vec<String>> =
        grows.flat_map(|curve| curve.points.iter().map(move |step| row(curve, step))).collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("<h3>Scaling</h3>{}", table(&SCALING, &rows)),
    }
}

fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let head: String = header.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
    let row = |row: &Vec<String>| {
        let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        format!("<tr>{cells}</tr>")
    };
    format!("<table><tr>{head}</tr>{}</table>", rows.iter().map(row).collect::<String>())
}

/// A title, and what is drawn of each step.
type Chart = (&'static str, fn(&Step) -> f64);

const CHARTS: [Chart; 3] = [
    ("requests a second", |step| step.rate),
    ("p99, µs", |step| step.p99_us),
    ("server CPU per request, µs", |step| step.cpu_us),
];
const SCALING: [&str; 6] = ["shards", "workers", "CPUs", "requests/s", "speed-up", "efficiency"];
const PAGE: &str = include_str!("page.html");
