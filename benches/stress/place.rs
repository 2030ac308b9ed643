//! Which CPUs server and load run on.

use crate::topology::{Cpu, Topology};

/// How the CPUs are divided between server and load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Division {
    /// `cores`, or `shared` on a machine that is too small
    Auto,
    /// Half of the cores of each NUMA node: the server spans all nodes
    Cores,
    /// Half of the NUMA nodes
    Nodes,
    /// Both on all CPUs
    Shared,
}

/// The CPUs of each, in the order in which a growing server or load takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) server: Vec<usize>,
    pub(crate) load: Vec<usize>,
}

impl Place {
    /// # Errors
    /// # Errors
    /// If the machine cannot be divided like this.
    pub(crate) fn divide(topology: &Topology, division: Division) -> Result<Place, String> {
        let all: Vec<usize> = topology.cpus.iter().map(|cpu| cpu.id).collect();
        let shared = Place { server: all.clone(), load: all };
        match division {
            Division::Shared => Ok(shared),
            Division::Nodes => halves(topology, |_| 0, |cpu| cpu.node)
                .ok_or_else(|| "there is only one NUMA node to divide".to_owned()),
            Division::Cores => halves(topology, |cpu| cpu.node, |cpu| cpu.core)
                .ok_or_else(|| "no NUMA node has two cores to divide".to_owned()),
            Division::Auto if topology.cpus.len() < FEW => Ok(shared),
            Division::Auto => {
                Ok(halves(topology, |cpu| cpu.node, |cpu| cpu.core).unwrap_or(shared))
            }
        }
    }

    /// CPUs chosen by hand; a side without a choice gets those that the other leaves.
    ///
    /// # Errors
    /// Names a CPU that may not be used, or says that none is left over.
    pub(crate) fn given(
        topology: &Topology,
        server: Option<Vec<usize>>,
        load: Option<Vec<usize>>,
    ) -> Result<Place, String> {
        let known = |id: usize| topology.cpus.iter().any(|cpu| cpu.id == id);
        let mut named = server.iter().chain(&load).flatten();
        if let Some(id) = named.find(|&&id| !known(id)) {
            return Err(format!("CPU {id} is not there, or not for this process to use"));
        }
        let rest = |taken: &Option<Vec<usize>>| {
            let ids = topology.cpus.iter().map(|cpu| cpu.id);
            ids.filter(|id| !taken.iter().flatten().any(|taken| taken == id)).collect()
        };
        let (rest_of_load, rest_of_server) = (rest(&load), rest(&server));
        let place =
            Place { server: server.unwrap_or(rest_of_load), load: load.unwrap_or(rest_of_server) };
        match place.server.is_empty() || place.load.is_empty() {
            true => Err("no CPU is left for the load or for the server".to_owned()),
            false => Ok(place),
        }
    }

    /// Whether server and load are in each other's way.
    pub(crate) fn shared(&self) -> bool {
        self.server.iter().any(|id| self.load.contains(id))
    }

    /// The CPUs of a server of so many workers: one each, and all where it shares them.
    pub(crate) fn server_of(&self, workers: usize) -> &[usize] {
        match self.shared() {
            true => &self.server,
            false => &self.server[..workers.min(self.server.len())],
        }
    }
}

/// In each group the first half of what `kind` tells apart goes to the server, the rest to the
/// load; `None` if that leaves one of them without.
fn halves(topology: &Topology, group: fn(&Cpu) -> usize, kind: fn(&Cpu) -> usize) -> Option<Place> {
    let of_server = |cpu: &&Cpu| {
        let mates = topology.cpus.iter().filter(|other| group(other) == group(cpu));
        let mut kinds: Vec<usize> = Vec::new();
        for mate in mates {
            if !kinds.contains(&kind(mate)) {
                kinds.push(kind(mate));
            }
        }
        kinds[..kinds.len() / 2].contains(&kind(cpu))
    };
    let (server, load): (Vec<&Cpu>, Vec<&Cpu>) = topology.cpus.iter().partition(of_server);
    let ids = |cpus: Vec<&Cpu>| cpus.iter().map(|cpu| cpu.id).collect::<Vec<_>>();
    (!server.is_empty() && !load.is_empty()).then(|| Place { server: ids(server), load: ids(load) })
}

/// Fewer CPUs than this are shared.
const FEW: usize = 4;
