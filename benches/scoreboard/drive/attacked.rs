//! A healthy load beside an attack.

use std::process::Command;

use super::{Load, Server};
use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures, parse};
use crate::measure::program::Program;

/// The figures are those of the healthy load, those of the attack, and how much the server's memory grew.
#[derive(Clone)]
pub(crate) struct Attacked {
    pub(crate) server: Server,
    /// The arguments of the healthy load.
    pub(crate) healthy: String,
    /// A kind of `benches/peers/src/bin/attack`.
    pub(crate) flood: &'static str,
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
    /// What the server has to do; `None` for one that is only compared with.
    pub(crate) defence: Option<Defence>,
}

/// A visit fails if the server does not defend itself: whatever the scale, and however slow the machine.
#[derive(Clone, Copy)]
pub(crate) struct Defence {
    /// The count of the server that says why it closed the connections of the attack.
    pub(crate) reason: &'static str,
    /// How much its resident memory may grow.
    pub(crate) bytes: f64,
}

impl Drive for Attacked {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        let (mut server, address) = self.server.start(bench)?;
        let mut load = Load::new(self.server, &self.healthy).connect(bench, address)?;
        let mut attack = self.attack(bench, &address.to_string())?;
        let before = server.resident()?;
        attack.go()?;
        load.go()?;
        let mut figures = parse(&load.line()?)?;
        figures.extend(parse(&attack.line()?)?);
        figures.insert("grown_bytes".to_owned(), server.peak()? - before);
        if let Some(defence) = self.defence {
            server.go()?;
            figures.extend(parse(&server.line()?)?);
            defence.check(&figures)?;
        }
        Ok(figures)
    }
}

impl Attacked {
    /// Starts it, on the CPUs of the load.
    fn attack(&self, bench: &Bench, address: &str) -> Result<Program, Fault> {
        let mut command = Command::new(bench.own("attack"));
        let numbers = [self.connections.to_string(), self.seconds.to_string()];
        command.args([self.flood, address]).args(numbers);
        command.args(self.defence.map(|_| "closed"));
        let cpus = self.server.placement.cpus(&bench.machine).1;
        let mut attack = Program::start(&mut command, &cpus)?;
        match attack.line()?.as_str() {
            "ready" => Ok(attack),
            line => Err(Fault::Failed(format!("the attack says {line:?}"))),
        }
    }
}

impl Defence {
    fn check(self, figures: &Figures) -> Result<(), Fault> {
        let figure = |name: &str| figures.get(name).copied().unwrap_or(0.0);
        let fault = |what: String| Err(Fault::Failed(what));
        let [unanswered, open] = ["unanswered", "never_closed"].map(figure);
        match () {
            () if unanswered > 0.0 => fault(format!("{unanswered} healthy requests unanswered")),
            () if open > 0.0 => fault(format!("{open} connections of the attack never closed")),
            () if figure(self.reason) < 1.0 => fault(format!("no {} counted", self.reason)),
            () if figure("grown_bytes") > self.bytes => {
                fault(format!("memory grew by {} bytes", figure("grown_bytes")))
            }
            () => Ok(()),
        }
    }
}
