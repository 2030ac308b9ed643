//! The command line.

use clap::Parser;

use crate::list;
use crate::measure::figures::Fault;
use crate::measure::scale::Scale;
use crate::place::{Division, Place};
use crate::settings::Settings;
use crate::topology::Topology;
use crate::workload::Workload;

/// How heist scales: each workload with so many workers on so many shards, the server on CPUs of
/// its own where there are enough.
#[derive(Parser)]
#[command(name = "stress", bin_name = "cargo bench --bench stress --")]
pub(crate) struct Options {
    /// What to drive; all by default
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<Workload>,
    /// Workers of the server; `all` is one for each of its CPUs, `…` or `...` continues by doubling
    #[arg(
        long,
        value_name = "LIST",
        default_value = "1,2,…,all",
        default_value_if("smoke", "true", "16")
    )]
    workers: String,
    /// Shards of its event queue; `auto` is what it would choose, more than workers are left out
    #[arg(
        long,
        value_name = "LIST",
        default_value = "auto,1,2,…",
        default_value_if("smoke", "true", "4")
    )]
    shards: String,
    /// How long each visit loads the server
    #[arg(long, default_value_t = 1.0, default_value_if("smoke", "true", "0.1"), value_parser = seconds)]
    seconds: f64,
    /// Visits of each point; the result is their median
    #[arg(long, value_name = "COUNT", default_value_t = 3, default_value_if("smoke", "true", "1"))]
    rounds: usize,
    /// Which CPUs server and load run on
    #[arg(long, value_enum, default_value = "auto")]
    place: Division,
    /// CPUs of the server, such as 0-3,8, in place of --place
    #[arg(long, value_name = "CPUS", conflicts_with = "place")]
    server_cpus: Option<String>,
    /// CPUs of the load, in place of --place
    #[arg(long, value_name = "CPUS", conflicts_with = "place")]
    load_cpus: Option<String>,
    /// Threads of the load; by default as many as the server has CPUs, or as its rate needs
    #[arg(long, value_name = "COUNT")]
    load_threads: Option<usize>,
    /// Connections for each worker: echo, http, hog
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    connections: usize,
    /// Requests a second for each CPU of the server: hog
    #[arg(long, default_value_t = 5_000.0)]
    rate: f64,
    /// Print what would be done and how long it would take, and end
    #[arg(long)]
    pub(crate) plan: bool,
    /// 16 workers on 4 shards, once and as short as can be, to see that it works
    #[arg(long)]
    smoke: bool,
    /// Keep the result as benches/record/DATE-stress.json
    #[arg(long, conflicts_with = "smoke")]
    pub(crate) record: bool,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A server that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) workers: usize,
    pub(crate) shards: usize,
    /// Whether the runtime would choose this number of shards.
    pub(crate) auto: bool,
}

impl Options {
    pub(crate) fn scale(&self) -> Scale {
        if self.smoke { Scale::Smoke } else { Scale::Full }
    }

    /// Visits of each point: one at least.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.max(1)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            seconds: self.seconds,
            connections: self.connections.max(1),
            rate: self.rate,
            load_threads: self.load_threads,
        }
    }

    pub(crate) fn workloads(&self) -> Vec<Workload> {
        let wanted = |kind: &Workload| self.workloads.is_empty() || self.workloads.contains(kind);
        Workload::ALL.into_iter().filter(wanted).collect()
    }

    pub(crate) fn place(&self, topology: &Topology) -> Result<Place, Fault> {
        let cpus = |text: &Option<String>| text.as_deref().map(list::cpus).transpose();
        let place = match (&self.server_cpus, &self.load_cpus) {
            (None, None) => Place::divide(topology, self.place),
            (server, load) => {
                cpus(server).and_then(|server| Place::given(topology, server, cpus(load)?))
            }
        };
        place.map_err(Fault::of("choosing CPUs"))
    }

    /// The servers to measure on so many CPUs: groups of the same number of workers.
    pub(crate) fn shapes(&self, server_cpus: usize) -> Result<Vec<Vec<Shape>>, Fault> {
        let workers = list::numbers(&self.workers, &[("all", server_cpus)], server_cpus);
        let workers = workers.map_err(Fault::of("reading --workers"))?;
        let mut groups = Vec::new();
        for workers in workers.into_iter().map(|workers| workers.value) {
            // The runtime's default.
            let auto = workers.div_ceil(WORKERS_A_SHARD);
            let shards = list::numbers(&self.shards, &[("auto", auto), ("all", workers)], workers);
            let shards = shards.map_err(Fault::of("reading --shards"))?.into_iter();
            let shape = |value| Shape { workers, shards: value, auto: value == auto };
            let group: Vec<Shape> = shards
                .map(|shards| shape(shards.value))
                .filter(|shape| shape.shards <= workers)
                .collect();
            groups.extend((!group.is_empty()).then_some(group));
        }
        match groups.is_empty() {
            true => Err(Fault::Failed("no number of shards is within that of workers".to_owned())),
            false => Ok(groups),
        }
    }

    /// The command that gives this again.
    pub(crate) fn command(&self) -> String {
        let words = std::env::args().skip(1).filter(|word| word != "--bench");
        let words: Vec<String> = words.collect();
        match words.is_empty() {
            true => "cargo bench --bench stress".to_owned(),
            false => format!("cargo bench --bench stress -- {}", words.join(" ")),
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("has to be a number from 0.01 to 60".to_owned()),
    }
}

const WORKERS_A_SHARD: usize = 8;
