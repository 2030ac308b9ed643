//! The CPUs, and which of them are near each other, as the kernel reports.

use std::fs;
use std::path::Path;

use crate::list;

/// One CPU, as the scheduler of the system knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) id: usize,
    /// The node whose memory is near.
    pub(crate) node: usize,
    pub(crate) package: usize,
    /// The first of the CPUs that share the last cache with it.
    pub(crate) cache: usize,
    /// The first of the CPUs that share its core.
    pub(crate) core: usize,
    /// Its place among those: 0 for the first.
    pub(crate) thread: usize,
}

/// The CPUs that may be used, in the order in which a growing server takes them: first one of each
/// core, the others after all cores; node by node, cache by cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) cpus: Vec<Cpu>,
}

impl Topology {
    /// Of the CPUs `allowed`, out of `system`: `/sys/devices/system`. What is missing there is
    /// taken to be simple: one node, one package, a core and a cache for each CPU.
    pub(crate) fn read(system: &Path, allowed: &[usize]) -> Topology {
        let nodes = nodes(system);
        let mut cpus: Vec<Cpu> = allowed
            .iter()
            .map(|&id| cpu(&system.join(format!("cpu/cpu{id}")), id, &nodes))
            .collect();
        cpus.sort_unstable_by_key(|cpu| (cpu.thread, cpu.node, cpu.cache, cpu.core, cpu.id));
        Topology { cpus }
    }

    /// How many different ones there are of what `kind` tells of a CPU.
    pub(crate) fn count(&self, kind: fn(&Cpu) -> usize) -> usize {
        let mut all: Vec<usize> = self.cpus.iter().map(kind).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }

    /// In a few words.
    pub(crate) fn words(&self) -> String {
        let count = |count: usize, one: &str| format!("{count} {one}{}", plural(count));
        [
            count(self.cpus.len(), "CPU"),
            count(self.count(|cpu| cpu.core), "core"),
            count(self.count(|cpu| cpu.cache), "last cache"),
            count(self.count(|cpu| cpu.package), "package"),
            count(self.count(|cpu| cpu.node), "NUMA node"),
        ]
        .join(", ")
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn cpu(folder: &Path, id: usize, nodes: &[(usize, Vec<usize>)]) -> Cpu {
    let near = |file: &str| list(&folder.join(file)).unwrap_or_else(|| vec![id]);
    let siblings = near("topology/thread_siblings_list");
    let node = nodes.iter().find(|(_, cpus)| cpus.contains(&id)).map_or(0, |(node, _)| *node);
    Cpu {
        id,
        node,
        package: list(&folder.join("topology/physical_package_id")).map_or(0, |all| all[0]),
        cache: near(LAST_CACHE)[0],
        core: siblings[0],
        thread: siblings.iter().position(|&sibling| sibling == id).unwrap_or(0),
    }
}

/// Each node and its CPUs.
fn nodes(system: &Path) -> Vec<(usize, Vec<usize>)> {
    let entries = fs::read_dir(system.join("node")).into_iter().flatten().flatten();
    let node = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let number = name.to_str()?.strip_prefix("node")?.parse().ok()?;
        Some((number, list(&entry.path().join("cpulist"))?))
    };
    entries.filter_map(node).collect()
}

/// What a file lists, at least one.
fn list(path: &Path) -> Option<Vec<usize>> {
    let all = list::cpus(&fs::read_to_string(path).ok()?).ok()?;
    (!all.is_empty()).then_some(all)
}

const LAST_CACHE: &str = "cache/index3/shared_cpu_list";
