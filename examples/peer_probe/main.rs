//! Asks many BitTorrent peers at once whether they are there: connect, handshake, bitfield,
//! interested, unchoke. It downloads nothing.
//!
//! ```sh
//! cargo run --example peer_probe -- FILE.torrent                       # asks its HTTP trackers
//! cargo run --example peer_probe -- FILE.torrent --peer 127.0.0.1:51413 --peer host:6881
//! cargo run --example peer_probe -- FILE.torrent --timeout 20 --json
//! ```
//!
//! To try it, seed something on this machine (Debian: `transmission-daemon`, `transmission-cli`):
//!
//! ```sh
//! mkdir -p /tmp/seed/watch && cp README.md /tmp/seed/
//! transmission-create -o /tmp/seed/readme.torrent /tmp/seed/README.md
//! cp /tmp/seed/readme.torrent /tmp/seed/watch/
//! transmission-daemon -f -g /tmp/seed/config -w /tmp/seed -c /tmp/seed/watch -i 127.0.0.1 -O -M &
//! cargo run --example peer_probe -- /tmp/seed/readme.torrent --peer 127.0.0.1:51413
//! ```
//!
//! It shows heist in the client's role, where every peer is slow in its own way, and many are dead:
//!
//! - `probe.rs`: the conversation with one peer as a [`Protocol`](heist::protocol::Protocol), an
//!   enum of states that each event advances as far as it goes. It touches no socket and no clock.
//! - `wire.rs`: bytes to messages and back, and everything that can be wrong with them.
//! - `tracker.rs`: hyper's client over heist's sockets.
//! - `torrent.rs`: the file. `report.rs`: the table and the JSON.
//! - `campaign.rs`: how many are probed at once. `descriptors.rs`: how many may be. `limits.rs`:
//!   what the engine bounds in each connection.
//! - this file: which peers are probed, and the progress meanwhile.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

mod campaign;
mod descriptors;
mod limits;
mod probe;
mod report;
mod torrent;
mod tracker;
mod wire;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use clap::Parser;
use futures_util::stream::{self, StreamExt};
use heist::net::resolve;
use heist::protocol::Error;
use indicatif::{ProgressBar, ProgressStyle};

use crate::campaign::Campaign;
use crate::probe::{Event, Report, Stage};
use crate::torrent::Torrent;

/// Asks many BitTorrent peers at once whether they are there.
#[derive(Parser)]
struct Options {
    /// The torrent
    #[arg(value_name = "FILE.torrent")]
    torrent: PathBuf,
    /// A peer, as address or name with a port, instead of the file's trackers; may be given often
    #[arg(long = "peer", value_name = "HOST:PORT", value_parser = host_and_port)]
    peers: Vec<(String, u16)>,
    /// An HTTP tracker to ask instead of those in the file; may be given often
    #[arg(long = "tracker", value_name = "URL")]
    trackers: Vec<String>,
    /// How many seconds a peer has for everything; real ones unchoke others every ten. A peer whose
    /// handshake is followed by silence counts as one without pieces after ten seconds, or when
    /// this time is up
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// How many peers are probed at the same time; by default and at most as many as the limit on
    /// open files allows (`ulimit -Hn`: the soft limit is raised to the hard one)
    #[arg(long, value_name = "PEERS")]
    at_once: Option<NonZero<usize>>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("no port: write HOST:PORT")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().map_err(|error| format!("port {port:?}: {error}"))?;
    if host.is_empty() { Err("no host: write HOST:PORT".into()) } else { Ok((host.into(), port)) }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let torrent = match read_torrent(&options) {
        Ok(torrent) => torrent,
        Err(error) => {
            eprint(&format!("{}: {error}", options.torrent.display()));
            return ExitCode::from(2);
        }
    };
    match run(&options, torrent) {
        Ok(reports) if reports.iter().any(|report| report.failure.is_none()) => ExitCode::SUCCESS,
        // The report has the reason for each peer.
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprint(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn read_torrent(options: &Options) -> Result<Torrent, Error> {
    let torrent = Torrent::parse(&std::fs::read(&options.torrent)?)?;
    if options.peers.is_empty() && options.trackers.is_empty() && torrent.trackers.is_empty() {
        return Err("it names no tracker: name one by --tracker, or peers by --peer".into());
    }
    Ok(torrent)
}

fn run(options: &Options, torrent: Torrent) -> Result<Vec<Report>, Error> {
    descriptors::raise_limit();
    let runtime = heist::Runtime::new()?;
    let at_once = at_once(options);
    let campaign = Arc::new(Campaign::new(torrent, Duration::from_secs(options.timeout)));
    let peers = runtime.block_on(find_peers(options, &campaign, at_once));
    if peers.is_empty() {
        return Err("no peers to probe".into());
    }
    let (events, inbox) = mpsc::channel();
    let count = peers.len();
    // The tasks have all senders: when the last is gone, the inbox ends.
    runtime.spawn(Arc::clone(&campaign).run(peers, at_once, events));
    let mut reports = watch(&inbox, count);
    reports.sort_by_key(|report| report.address);
    let format = if options.json { report::json } else { report::table };
    print(&format(&campaign.torrent, &reports))?;
    Ok(reports)
}

fn at_once(options: &Options) -> usize {
    let room = descriptors::room();
    let wanted = options.at_once.map_or(room, NonZero::get);
    if wanted > room {
        let limit = descriptors::limit();
        eprint(&format!(
            "--at-once {wanted} is lowered to {room}: the limit is {limit} open files"
        ));
    }
    wanted.min(room)
}

/// The peers to probe, each once. A name or tracker that fails does not keep it from the others.
async fn find_peers(
    options: &Options,
    campaign: &Arc<Campaign>,
    at_once: usize,
) -> BTreeSet<SocketAddr> {
    // A name may have several addresses, each with a descriptor, and the resolver needs its own.
    let at_once = at_once.div_ceil(4);
    let names = stream::iter(options.peers.iter().cloned())
        .map(|name| heist::spawn(async { resolve(name).await.map_err(Error::from) }))
        .buffered(at_once);
    let in_file = options.peers.is_empty() && options.trackers.is_empty();
    let trackers = if in_file { &campaign.torrent.trackers } else { &options.trackers };
    let trackers = stream::iter(trackers.iter().cloned())
        .map(|url| heist::spawn(ask(url, Arc::clone(campaign))))
        .buffered(at_once);

    let mut found = BTreeSet::new();
    let answers: Vec<_> = stream::select(names, trackers).collect().await;
    for answer in answers {
        match answer.map_err(Error::from).and_then(|answer| answer) {
            Ok(peers) => found.extend(peers),
            Err(failure) => eprint(&failure.to_string()),
        }
    }
    found
}

async fn ask(url: String, campaign: Arc<Campaign>) -> Result<Vec<SocketAddr>, Error> {
    let Campaign { torrent, id, timeout, .. } = &*campaign;
    let answer = tracker::peers(&url, torrent, id, *timeout).await;
    answer.map_err(|error| format!("tracker {url}: {error}").into())
}

/// Collects the reports, and draws a progress bar if standard error is a terminal.
fn watch(inbox: &Receiver<Event>, peers: usize) -> Vec<Report> {
    let bar = ProgressBar::new(peers as u64);
    let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {elapsed} {wide_msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar.enable_steady_tick(Duration::from_millis(500));
    let mut reached = [0; Stage::ALL.len()];
    let mut reports = Vec::new();
    let mut is_short = false;
    for event in inbox {
        match event {
            Event::Shortage(error) if !is_short => {
                is_short = true;
                bar.suspend(|| {
                    eprint(&format!("{error}: probes wait for a free descriptor or memory"))
                });
            }
            Event::Shortage(_) => {}
            Event::Reached(stage) => reached[stage as usize] += 1,
            Event::Ended(report) => {
                reports.push(report);
                bar.inc(1);
            }
        }
        let [connected, greeted, known, unchoked] = reached;
        bar.set_message(format!(
            "connected {connected}, handshakes {greeted}, bitfields {known}, unchoked {unchoked}"
        ));
    }
    bar.finish_and_clear();
    reports
}

/// Prints to standard output. A reader that has gone, such as `head`, wants no more: no error.
fn print(text: &str) -> Result<(), String> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Reports an error on standard error, with foreign text escaped. `eprintln!` panics where that
/// fails.
fn eprint(what: &str) {
    let _ = writeln!(io::stderr(), "peer_probe: {}", report::printable(what));
}
