//! A program that measures a runtime from inside.

use std::process::Command;

use super::Drive;
use crate::bench::{Bench, Placement};
use crate::figures::{Fault, Figures, parse};
use crate::program::Program;

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
        let mut program = Program::start(&mut command, &bench.cpus(Placement::Together).1)?;
        let mut figures = parse(&program.last_line()?)?;
        (self.derive)(&mut figures);
        Ok(figures)
    }
}
