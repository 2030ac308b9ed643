//! The loads of `benches/peers/src/bin/load`.

use std::net::SocketAddr;
use std::process::Command;

use super::Server;
use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures, parse, per_request};
use crate::measure::program::Program;

#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) server: Server,
    /// Its arguments; `ADDRESS` stands for the server's.
    pub(crate) words: Vec<String>,
}

impl Load {
    pub(crate) fn new(server: Server, words: &str) -> Load {
        Load { server, words: words.split_whitespace().map(str::to_owned).collect() }
    }

    /// Starts it and waits until it is connected.
    pub(crate) fn connect(&self, bench: &Bench, address: SocketAddr) -> Result<Program, Fault> {
        let mut command = Command::new(bench.own("load"));
        let address = address.to_string();
        command.args(self.words.iter().map(|word| match word.as_str() {
            "ADDRESS" => address.as_str(),
            word => word,
        }));
        let mut load = Program::start(&mut command, &self.server.placement.cpus(&bench.machine).1)?;
        match load.line()?.as_str() {
            "ready" => Ok(load),
            line => Err(Fault::Failed(format!("the load says {line:?}"))),
        }
    }
}

impl Drive for Load {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        let (server, address) = self.server.start(bench)?;
        let mut load = self.connect(bench, address)?;
        let before = server.spent()?;
        load.go()?;
        let mut figures = parse(&load.line()?)?;
        let spent = server.spent()? - before;
        per_request(&mut figures, spent.cpu, spent.switches)?;
        match figures.get("errors") {
            Some(&count) if count > 0.0 => Err(Fault::Failed(format!("{count} requests failed"))),
            _ => Ok(figures),
        }
    }
}
