//! User instructions per request, counted by callgrind.

use super::Load;
use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures, parse};
use crate::measure::program::output;
use crate::peers::need;

#[derive(Clone)]
pub(crate) struct Instructions(pub(crate) Load);

impl Drive for Instructions {
    /// Counts while every connection is open already.
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        need("valgrind", "valgrind")?;
        let file = bench.folder.join(format!("callgrind-{}.out", self.0.server.peer.name()));
        let dump = file.with_extension("out.1");
        let _ = std::fs::remove_file(&dump);
        let wrapper = ["valgrind", "--tool=callgrind", "--combine-dumps=no"].map(str::to_owned);
        let mut wrapper = wrapper.to_vec();
        wrapper.push(format!("--callgrind-out-file={}", file.display()));
        let (server, address) = self.0.server.start_under(bench, &wrapper)?;
        let mut load = self.0.connect(bench, address)?;
        let process = server.id().to_string();
        output("callgrind_control", &["--zero", &process])?;
        load.go()?;
        let mut figures = parse(&load.line()?)?;
        output("callgrind_control", &["--dump", &process])?;
        let total = instructions(&dump)?;
        let requests = figures["requests"].max(1.0);
        // Time under callgrind is no measurement.
        figures.retain(|name, _| name == "requests");
        figures.insert("instructions".to_owned(), total / requests);
        Ok(figures)
    }
}

/// The sum that a dump ends or begins with.
fn instructions(dump: &std::path::Path) -> Result<f64, Fault> {
    let reading = format!("reading {}", dump.display());
    let text = std::fs::read_to_string(dump).map_err(Fault::of(&reading))?;
    let sums = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        matches!(name, "summary" | "totals").then(|| value.trim().parse::<f64>().ok())?
    });
    let largest = sums.fold(f64::NAN, f64::max);
    match largest.is_nan() {
        false => Ok(largest),
        true => Err(Fault::Failed(format!("{reading}: there is no sum in it"))),
    }
}
