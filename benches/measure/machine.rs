//! What the board is measured on.

use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity};

use super::figures::Fault;

/// The machine, as a reader of the result wants to know it.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) kernel: String,
    /// Model and number of its CPUs, and its memory.
    pub(crate) name: String,
    /// The CPUs this process may use.
    pub(crate) cpus: Vec<usize>,
}

impl Machine {
    pub(crate) fn read() -> Result<Machine, Fault> {
        let allowed = sched_getaffinity(None).map_err(Fault::of("asking which CPUs to use"))?;
        let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
        let line = |path: &str, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
            line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let model = line("/proc/cpuinfo", "model name");
        let memory = line("/proc/meminfo", "MemTotal");
        let memory = memory.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok());
        let memory = memory.unwrap_or(0.0) / 1024.0 / 1024.0;
        Ok(Machine {
            date: jiff::Zoned::now().strftime("%Y-%m-%d").to_string(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
            name: format!("{} CPUs, {model}, {memory:.0} GiB", cpus.len()),
            cpus,
        })
    }
}

/// Time that the host gave to others while this machine wanted to run, in ticks of 10 ms, so far.
pub(crate) fn stolen_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    line.split_whitespace().nth(8).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}
