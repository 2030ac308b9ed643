//! The contenders: their names, and building them.

use std::path::PathBuf;
use std::process::Command;

use crate::measure::bench::{Bench, SUBJECT};
use crate::measure::build::Workspace;
use crate::measure::figures::Fault;
use crate::measure::program::output;
use crate::measure::progress;

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// heist's `Protocol` engine.
    Heist,
    /// The same without the feature `metrics`: it counts nothing.
    HeistBare,
    /// heist's `async` sockets.
    HeistAsync,
    /// The same, holding no buffer while it waits.
    HeistLean,
    HeistHyper,
    /// heist's HTTP server, with uploads.
    HeistUpload,
    /// heist's HTTP server behind TLS.
    HeistTls,
    /// The same with HTTP/2 by prior knowledge.
    HeistHttp2,
    HeistWebSocket,
    Epoll,
    Tokio,
    TokioHyper,
    TokioHyperUpload,
    TokioHyperTls,
    TokioHyperHttp2,
    TokioWebSocket,
    Smol,
    May,
    Threads,
    GoNet,
    Nginx,
    NginxTls,
}

impl Peer {
    /// Its name on the board and, for peers built here, of its program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Heist => "heist",
            Peer::HeistBare => "heist_bare",
            Peer::HeistAsync => "heist_async",
            Peer::HeistLean => "heist_lean",
            Peer::HeistHyper => "heist_hyper",
            Peer::HeistUpload => "heist_upload",
            Peer::HeistTls => "heist_tls",
            Peer::HeistHttp2 => "heist_http2",
            Peer::HeistWebSocket => "heist_websocket",
            Peer::Epoll => "epoll",
            Peer::Tokio => "tokio",
            Peer::TokioHyper => "tokio_hyper",
            Peer::TokioHyperUpload => "tokio_hyper_upload",
            Peer::TokioHyperTls => "tokio_hyper_tls",
            Peer::TokioHyperHttp2 => "tokio_hyper_http2",
            Peer::TokioWebSocket => "tokio_websocket",
            Peer::Smol => "smol",
            Peer::May => "may",
            Peer::Threads => "threads",
            Peer::GoNet => "go_net",
            Peer::Nginx => "nginx",
            Peer::NginxTls => "nginx_tls",
        }
    }

    /// Where it is, or what would have to be installed for it.
    pub(crate) fn path(self, bench: &Bench) -> Result<PathBuf, Fault> {
        match self {
            Peer::Nginx | Peer::NginxTls => nginx(),
            Peer::GoNet if !bench.own("go_net").exists() => {
                Err(Fault::Missing { tool: "go", package: "golang-go" })
            }
            peer => Ok(bench.own(peer.name())),
        }
    }
}

/// Paths of the certificate and the key that the servers with TLS have.
pub(crate) fn certificate(bench: &Bench) -> [String; 2] {
    CERTIFICATE.map(|name| bench.own(name).display().to_string())
}

/// Builds every contender, and makes a certificate.
pub(crate) fn build(workspace: &Workspace) -> Result<(), Fault> {
    build_bare(workspace)?;
    workspace.build("the contenders", &["--bins"])?;
    let maker = workspace.program("certificate").display().to_string();
    output(&maker, &CERTIFICATE.map(|name| workspace.program(name)))?;
    if found("go") {
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(workspace.program("go_net")).arg("main.go");
        go.current_dir(workspace.source().join("go")).env("GOFLAGS", "-mod=mod");
        // It must not try to leave the machine for a newer toolchain.
        go.env("GOTOOLCHAIN", "local");
        progress::run(&mut go, "building Go's contender")?;
    }
    Ok(())
}

/// Builds the contenders of another checkout that have code of heist.
pub(crate) fn build_before(workspace: &Workspace) -> Result<(), Fault> {
    let folder = workspace.source().join("src/bin");
    let reading = format!("reading {}, of the checkout to compare with", folder.display());
    let files = std::fs::read_dir(&folder).map_err(Fault::of(reading))?;
    let names = files.flatten().map(|file| file.path().with_extension(""));
    let names = names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let words = names.filter(|name| name.contains(SUBJECT)).flat_map(|name| ["--bin".into(), name]);
    let words: Vec<String> = words.collect();
    build_bare(workspace)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    workspace.build("heist before", &words)
}

fn build_bare(workspace: &Workspace) -> Result<(), Fault> {
    workspace.build("heist without figures", &["--no-default-features", "--bin", "heist"])?;
    std::fs::copy(workspace.program("heist"), workspace.program("heist_bare"))
        .map_err(Fault::of("keeping the heist without figures"))?;
    Ok(())
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

/// The certificate and the key of the servers with TLS, beside the programs.
const CERTIFICATE: [&str; 2] = ["certificate.pem", "key.pem"];
