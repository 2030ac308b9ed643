//! A program that measures a runtime from inside.

use std::process::Command;

use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures, parse};
use crate::measure::program::Program;
use crate::placement::Placement;

#[derive(Clone)]
pub(crate) struct Own {
    pub(crate) program: &'static str,
    pub(crate) words: Vec<String>,
    /// Adds what follows from its figures.
    pub(crate) derive: fn(&mut Figures),
}

impl Drive for Own {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        let mut command = Command::new(bench.own(self.program));
        command.args(&self.words);
        let mut program =
            Program::start(&mut command, &Placement::Together.cpus(&bench.machine).1)?;
        let mut figures = parse(&program.last_line()?)?;
        (self.derive)(&mut figures);
        Ok(figures)
    }
}
