//! How heist scales with cores.
//!
//! `cargo bench --bench stress`; `-- --plan` prints what that would do here and how long it would
//! take, `-- --smoke` checks that it works. `benches/README.md` explains how to read the result.
//!
//! The way of one figure: `topology` reads the kernel's description of the CPUs, `place` gives some
//! to the server and some to the load, `plan` is the list of points: a workload, workers, shards. A
//! visit to a `point` starts a server and a load and reads what both counted; `measure` lets the
//! points take turns. `report` makes curves of them.

#![allow(clippy::print_stdout)]

mod list;
#[path = "../measure/mod.rs"]
#[allow(dead_code, reason = "the scoreboard uses the rest of it")]
mod measure;
mod options;
mod place;
mod plan;
mod point;
mod report;
mod settings;
mod topology;
mod workload;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::measure::bench::Bench;
use crate::measure::figures::Fault;
use crate::measure::guard::end_with_cargo;
use crate::measure::machine::Machine;
use crate::measure::rounds::{self, Turns};
use crate::options::Options;
use crate::plan::Plan;
use crate::topology::Topology;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("stress: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Fault> {
    end_with_cargo()?;
    let cpus = Machine::read()?.cpus;
    let plan = Plan::new(options, Topology::read(Path::new("/sys/devices/system"), &cpus))?;
    println!("{}", plan.words());
    if options.plan {
        return Ok(());
    }
    let rounds = Some(options.rounds());
    let bench = Bench::prepare("stress", options.scale(), rounds, |workspace| {
        workspace.build("server and load", &["--bin", "stress", "--bin", "load"])
    })?;
    let mut outcomes = Vec::new();
    for row in plan.rows() {
        let outcome = rounds::play(&bench, row, Duration::ZERO, |_| Turns::new())?;
        report::table::print(&plan, &outcome);
        outcomes.push(outcome);
    }
    report::write(&bench, options, &plan, &outcomes)
}
