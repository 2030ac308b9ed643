//! What every visit needs: the programs that were built, the machine, the scale.

use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::figures::Fault;
use crate::machine::Machine;
use crate::options::{Options, Scale};
use crate::peers::{self, Peer, Peers};

pub(crate) struct Bench {
    pub(crate) machine: Machine,
    pub(crate) scale: Scale,
    /// Rounds that were asked for.
    pub(crate) rounds: Option<usize>,
    /// Where results and scratch files go.
    pub(crate) folder: PathBuf,
    peers: Peers,
}

impl Bench {
    /// Builds the contenders, with progress.
    pub(crate) fn prepare(options: &Options) -> Result<Bench, Fault> {
        allow_many_files();
        let target = target();
        let folder = target.join("scoreboard");
        std::fs::create_dir_all(&folder)
            .map_err(Fault::of(format!("making {}", folder.display())))?;
        Ok(Bench {
            machine: Machine::read()?,
            scale: options.scale(),
            rounds: options.rounds,
            peers: peers::build(&root().join("benches/peers"), &target.join("peers"), options)?,
            folder,
        })
    }

    /// Where a contender is, or what would have to be installed for it.
    pub(crate) fn path(&self, peer: Peer) -> Result<PathBuf, Fault> {
        self.peers.path(peer)
    }

    /// The program of `benches/peers` with this name.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.peers.own(name)
    }

    /// The CPUs of the server, then those of the load.
    pub(crate) fn cpus(&self, placement: Placement) -> (Vec<usize>, Vec<usize>) {
        let all = self.machine.cpus.clone();
        match (placement, &all[..]) {
            (Placement::Apart, [first, second, ..]) => (vec![*first], vec![*second]),
            _ => (all.clone(), all),
        }
    }
}

/// Who runs where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// (a): the server on the first CPU, the load on the second.
    Apart,
    /// (b): both on every CPU.
    Together,
}

/// The project's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// As many files as this process may have, for the contenders too: some rows hold 15,000 sockets.
fn allow_many_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
