//! The contenders: their names, and building them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::figures::Fault;
use crate::options::{Options, Scale};
use crate::report::progress;

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// heist's `Protocol` engine.
    Heist,
    /// The same without the feature `figures`: it counts nothing.
    HeistBare,
    /// heist's `async` sockets.
    HeistAsync,
    /// The same, holding no buffer while it waits.
    HeistLean,
    HeistHyper,
    Epoll,
    Tokio,
    TokioHyper,
    Smol,
    May,
    Threads,
    GoNet,
    Nginx,
}

impl Peer {
    /// Its name on the board and, for those of ours, of its program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Heist => "heist",
            Peer::HeistBare => "heist_bare",
            Peer::HeistAsync => "heist_async",
            Peer::HeistLean => "heist_lean",
            Peer::HeistHyper => "heist_hyper",
            Peer::Epoll => "epoll",
            Peer::Tokio => "tokio",
            Peer::TokioHyper => "tokio_hyper",
            Peer::Smol => "smol",
            Peer::May => "may",
            Peer::Threads => "threads",
            Peer::GoNet => "go_net",
            Peer::Nginx => "nginx",
        }
    }
}

/// Programs that were built.
pub(crate) struct Peers {
    folder: PathBuf,
}

impl Peers {
    pub(crate) fn path(&self, peer: Peer) -> Result<PathBuf, Fault> {
        match peer {
            Peer::Nginx => nginx(),
            Peer::GoNet if !self.own("go_net").exists() => {
                Err(Fault::Missing { tool: "go", package: "golang-go" })
            }
            peer => Ok(self.own(peer.name())),
        }
    }

    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Builds every contender out of `source` into `target`. A smoke run builds without optimizing.
pub(crate) fn build(source: &Path, target: &Path, options: &Options) -> Result<Peers, Fault> {
    let (profile, folder) = match options.scale() {
        Scale::Smoke => ("dev", "debug"),
        _ => ("release", "release"),
    };
    let cargo = |what: &str, features: &[&str]| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command.args(["build", "--locked", "--profile", profile, "--target-dir"]).arg(target);
        command.args(features).current_dir(source);
        progress::run(&mut command, &format!("building {what}"))
    };
    let folder = target.join(folder);
    cargo("heist without figures", &["--no-default-features", "--bin", "heist"])?;
    std::fs::copy(folder.join("heist"), folder.join("heist_bare"))
        .map_err(Fault::of("keeping the heist without figures"))?;
    cargo("the contenders", &["--bins"])?;
    if found("go") {
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(folder.join("go_net")).arg("main.go");
        // It must not try to leave the machine for a newer toolchain.
        go.current_dir(source.join("go")).env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local");
        progress::run(&mut go, "building Go's contender")?;
    }
    Ok(Peers { folder })
}

/// nginx is where only root looks.
fn nginx() -> Result<PathBuf, Fault> {
    let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
    let place = places.iter().map(PathBuf::from).find(|path| path.exists());
    place.ok_or(Fault::Missing { tool: "nginx", package: "nginx-light" })
}

/// Whether a program of this name is on the path.
pub(crate) fn found(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// The tool, if it is there.
pub(crate) fn need(tool: &'static str, package: &'static str) -> Result<(), Fault> {
    match found(tool) {
        true => Ok(()),
        false => Err(Fault::Missing { tool, package }),
    }
}
