//! Many requests at once: how long until the last of them is answered.

use std::io;
use std::time::{Duration, Instant};

use crate::client::{self, Client, Watch};
use crate::target::Target;
use crate::{mix, quantile};

pub(crate) struct Plan {
    pub(crate) target: Target,
    /// Requests at once, each on a connection of its own.
    pub(crate) count: usize,
    /// What each sleeps in the kernel.
    pub(crate) micros: u64,
    pub(crate) bursts: usize,
    /// Whether short requests come before each burst, or a rest.
    pub(crate) warm: bool,
}

struct Load {
    watch: Watch,
    clients: Vec<Client>,
}

pub(crate) fn run(plan: &Plan) -> io::Result<()> {
    let watch = Watch::new()?;
    let short = mix::get("");
    let clients = client::connect_all(&watch, &plan.target, plan.count, &short)?;
    let mut load = Load { watch, clients };
    let long = mix::get(&format!("sleep/{}", plan.micros));
    // Whatever the first requests of a server cost is not asked about.
    load.burst(&short)?;
    crate::ready()?;
    let mut last = Vec::with_capacity(plan.bursts);
    for _ in 0..plan.bursts {
        load.before(plan, &short)?;
        last.push(load.burst(&long)?);
    }
    last.sort_unstable();
    let median = quantile(&last, 0.5);
    crate::print(&format!("{{\"requests\": {}, \"last_us\": {median:.1}}}", last.len()))
}

impl Load {
    /// Short requests, or a rest.
    fn before(&mut self, plan: &Plan, short: &[u8]) -> io::Result<()> {
        let end = Instant::now() + PHASE;
        while plan.warm && Instant::now() < end {
            self.burst(short)?;
        }
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        Ok(())
    }

    /// Sends the request on every connection; nanoseconds until the last is answered.
    fn burst(&mut self, request: &[u8]) -> io::Result<u64> {
        let start = Instant::now();
        for client in &mut self.clients {
            client.ask(request, start);
            client.flush()?;
        }
        let mut answered = Vec::with_capacity(self.clients.len());
        while answered.len() < self.clients.len() {
            self.watch.sleep(Duration::from_secs(10))?;
            for index in self.watch.ready()? {
                self.clients[index].receive(&mut answered)?;
            }
        }
        Ok(start.elapsed().as_nanos() as u64)
    }
}

/// What comes before each burst takes so long.
const PHASE: Duration = Duration::from_millis(20);
