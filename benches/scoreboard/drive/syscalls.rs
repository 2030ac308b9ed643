//! System calls per request, counted by the kernel's tracepoints.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Load;
use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures, parse};
use crate::measure::program::Program;
use crate::peers::need;
use crate::placement::Placement;

#[derive(Clone)]
pub(crate) struct Syscalls(pub(crate) Load);

impl Drive for Syscalls {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        need("perf", "linux-perf")?;
        let (server, address) = self.0.server.start(bench)?;
        let mut load = self.0.connect(bench, address)?;
        let mut perf = watch(bench, server.id())?;
        load.go()?;
        let mut figures = parse(&load.line()?)?;
        perf.signal(Signal::SIGINT);
        let requests = figures["requests"].max(1.0);
        for (name, count) in counts(&mut perf)? {
            figures.insert(name.to_owned(), count / requests);
        }
        Ok(figures)
    }
}

/// perf, which has begun to count.
fn watch(bench: &Bench, process: u32) -> Result<Program, Fault> {
    let mut command = Command::new("perf");
    let events = EVENTS.map(|(event, _)| event).join(",");
    command.args(["stat", "-x,", "--log-fd=1", "-e", &events, "-p", &process.to_string()]);
    let perf = Program::start(&mut command, &Placement::Together.cpus(&bench.machine).1)?;
    perf.wait_for_handler()?;
    // It does not report when it begins. The load waits meanwhile, so nothing is missed or added.
    std::thread::sleep(Duration::from_millis(200));
    Ok(perf)
}

fn counts(perf: &mut Program) -> Result<Vec<(&'static str, f64)>, Fault> {
    let mut counts = Vec::new();
    while let Ok(line) = perf.line() {
        let fields: Vec<&str> = line.split(',').collect();
        let name = EVENTS.iter().find(|(event, _)| fields.get(2) == Some(event));
        let count = fields[0].parse::<f64>().ok();
        counts.extend(name.zip(count).map(|((_, name), count)| (*name, count)));
    }
    match counts.len() == EVENTS.len() {
        true => Ok(counts),
        false => Err(Fault::Failed("perf could not count system calls here".to_owned())),
    }
}

const EVENTS: [(&str, &str); 2] =
    [("raw_syscalls:sys_enter", "syscalls"), ("syscalls:sys_enter_epoll_ctl", "epoll_ctl")];
