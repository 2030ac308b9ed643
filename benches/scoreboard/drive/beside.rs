//! A connection that asks now and then, in quiet and beside a load.

use super::{Load, Server};
use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures, parse};
use crate::measure::program::Program;

/// The figures are the latencies of the probe, `quiet_…` without the load, and what the load did.
#[derive(Clone)]
pub(crate) struct Beside {
    pub(crate) server: Server,
    /// The arguments of the load beside the probe.
    pub(crate) words: String,
    pub(crate) seconds: f64,
}

impl Drive for Beside {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        let (server, address) = self.server.start(bench)?;
        let words = format!("probe ADDRESS {GAP_MICROS} {}", self.seconds);
        let mut probe = Load::new(self.server, &words).connect(bench, address)?;
        let quiet = ask(&mut probe)?;
        let mut load = Load::new(self.server, &self.words).connect(bench, address)?;
        let before = server.spent()?;
        load.go()?;
        let beside = ask(&mut probe)?;
        let mut figures = parse(&load.line()?)?;
        let cpu = (server.spent()? - before).cpu;
        let requests = figures.remove("requests").unwrap_or_default();
        if requests <= 0.0 {
            return Err(Fault::Failed("the load got no answer".to_owned()));
        }
        // What the load itself waited is not asked about.
        figures.retain(|name, _| name == "rate");
        figures.insert("load_per_cpu_second".to_owned(), requests / cpu);
        figures.extend(quiet.into_iter().map(|(name, figure)| (format!("quiet_{name}"), figure)));
        figures.extend(beside);
        Ok(figures)
    }
}

/// One look of the probe.
fn ask(probe: &mut Program) -> Result<Figures, Fault> {
    probe.go()?;
    parse(&probe.line()?)
}

/// How often the probe asks.
const GAP_MICROS: u64 = 2_000;
