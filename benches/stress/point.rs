//! One server under one load: what a visit measures.

use std::process::Command;

use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures, parse, per_request};
use crate::measure::program::{Program, free_address};
use crate::options::Shape;
use crate::place::Place;
use crate::settings::Settings;
use crate::workload::{Size, Workload};

/// Everything that a visit needs to know.
#[derive(Clone)]
pub(crate) struct Point {
    pub(crate) workload: Workload,
    pub(crate) shape: Shape,
    pub(crate) place: Place,
    pub(crate) settings: Settings,
}

impl Point {
    pub(crate) fn size(&self) -> Size {
        let Shape { workers, shards, .. } = self.shape;
        let server_cpus = self.place.server_of(workers).len();
        Size { workers, shards, server_cpus, load_cpus: self.place.load.len() }
    }

    fn server(&self, bench: &Bench, address: &str) -> Result<Program, Fault> {
        let Shape { workers, shards, .. } = self.shape;
        let mut command = Command::new(bench.own("stress"));
        command.args([&workers.to_string(), address, self.workload.server()]);
        command.env_remove("HEIST_WORKERS").env("HEIST_SHARDS", shards.to_string());
        Program::start(&mut command, self.place.server_of(workers))
    }

    /// The load, connected and waiting for the word.
    fn load(&self, bench: &Bench, address: &str) -> Result<Program, Fault> {
        let words = self.workload.load(self.size(), &self.settings).replace("ADDRESS", address);
        let mut command = Command::new(bench.own("load"));
        command.args(words.split_whitespace());
        let mut load = Program::start(&mut command, &self.place.load)?;
        match load.line()?.as_str() {
            "ready" => Ok(load),
            line => Err(Fault::Failed(format!("the load says {line:?}"))),
        }
    }
}

impl Drive for Point {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        let address = free_address()?;
        let mut server = self.server(bench, &address.to_string())?;
        server.wait_for(address)?;
        let mut load = self.load(bench, &address.to_string())?;
        let (counted, spent) = (counts(&mut server)?, server.spent()?);
        load.go()?;
        let mut figures = parse(&load.line()?)?;
        let spent = server.spent()? - spent;
        let counts = counts(&mut server)?;
        if let Some(&errors) = figures.get("errors").filter(|&&errors| errors > 0.0) {
            return Err(Fault::Failed(format!("{errors} requests failed")));
        }
        per_request(&mut figures, spent.cpu, spent.switches)?;
        let had = figures["seconds"] * self.size().server_cpus as f64;
        figures.insert("server_busy".to_owned(), spent.cpu / had);
        figures.extend(counted_since(&counted, &counts, figures["requests"]));
        Ok(figures)
    }
}

/// What the server's workers have counted so far.
fn counts(server: &mut Program) -> Result<Figures, Fault> {
    server.go()?;
    parse(&server.line()?)
}

/// Rescues as they are, the rest for 1,000 requests.
fn counted_since(before: &Figures, after: &Figures, requests: f64) -> Figures {
    let since = after.iter().map(|(name, count)| {
        let count = count - before.get(name).copied().unwrap_or(0.0);
        match name.as_str() {
            "rescues" => (name.clone(), count),
            _ => (format!("{name}_per_1000"), count * 1_000.0 / requests),
        }
    });
    since.collect()
}
