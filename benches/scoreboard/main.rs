//! How heist compares with what one would use instead, measured side by side in one run.
//!
//! `cargo bench --bench scoreboard`; `-- --quick` in two minutes, `-- ROW…` for some rows, `--
//! --smoke` to check that every row works. `benches/README.md` explains how to read the output.
//!
//! The way of one figure: a row (`rows`) names its cases, and in each the entrants that are
//! compared. `measure` lets them take turns; an entrant's turn is a visit (`drive`), which starts a
//! program in a process of its own, loads it, and gives figures. `judge` makes ratios of the
//! figures of a round, and verdicts of the ratios. `report` writes it down.

#![allow(clippy::print_stdout)]

mod drive;
mod history;
mod judge;
#[path = "../measure/mod.rs"]
mod measure;
mod options;
mod peers;
mod placement;
mod report;
mod rows;

use std::process::ExitCode;

use clap::Parser;

use crate::measure::bench::Bench;
use crate::measure::figures::Fault;
use crate::measure::guard::end_with_cargo;
use crate::options::Options;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("scoreboard: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Fault> {
    end_with_cargo()?;
    let rows = options.choose(rows::all(options.scale()))?;
    if options.list {
        rows.iter().for_each(|row| println!("{:12} {}", row.name, row.workload));
        return Ok(());
    }
    if options.history {
        return report::write_history();
    }
    let mut bench = Bench::prepare("scoreboard", options.scale(), options.rounds, peers::build)?;
    if let Some(folder) = &options.before {
        let whole = std::fs::canonicalize(folder);
        let whole = whole.map_err(Fault::of(format!("looking for {}", folder.display())))?;
        bench = bench.with_before(&whole, peers::build_before)?;
    }
    let mut results = Vec::new();
    for row in rows {
        let row = if options.before.is_some() { row.with_before() } else { row };
        let result = measure::rounds::play(&bench, row, options.further(), judge::unclear)?;
        report::table::print(&result);
        results.push(result);
    }
    report::table::print_summary(&results);
    report::write(&bench, options, &results)
}
