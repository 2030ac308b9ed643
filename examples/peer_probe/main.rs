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
//! - this file: who is probed, how many at once, and the progress meanwhile.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

mod probe;
mod report;
mod torrent;
mod tracker;
mod wire;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use heist::net::{TcpStream, resolve};
use heist::protocol::{Connection, Error, Limits};
use heist::time::{Instant, timeout};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::probe::{Event, Probe, Report, Stage};
use crate::torrent::Torrent;
use crate::wire::PeerId;

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
    /// How many seconds a peer has for everything; real ones unchoke others every ten
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// How many peers are probed at the same time
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
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
            complain(&format!("{}: {error}", options.torrent.display()));
            return ExitCode::from(2);
        }
    };
    match run(&options, torrent) {
        Ok(reports) if reports.iter().any(|report| report.failure.is_none()) => ExitCode::SUCCESS,
        // It said why for each.
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn read_torrent(options: &Options) -> Result<Torrent, Error> {
    let torrent = Torrent::parse(&std::fs::read(&options.torrent)?)?;
    match options.peers.is_empty() && options.trackers.is_empty() && torrent.trackers.is_empty() {
        true => Err("it names no tracker: name one by --tracker, or peers by --peer".into()),
        false => Ok(torrent),
    }
}

fn run(options: &Options, torrent: Torrent) -> Result<Vec<Report>, Error> {
    raise_descriptor_limit();
    let runtime = heist::Runtime::new()?;
    let campaign = Arc::new(Campaign::new(options, torrent));
    let peers = runtime.block_on(find_peers(options, &campaign))?;
    if peers.is_empty() {
        return Err("there is nobody to probe".into());
    }
    let (events, inbox) = mpsc::channel();
    let queue = Arc::new(Mutex::new(peers.clone()));
    for _ in 0..peers.len().min(options.at_once.into()) {
        runtime.spawn(probe_next(Arc::clone(&campaign), Arc::clone(&queue), events.clone()));
    }
    // The tasks have the other senders: when the last is gone, the inbox ends.
    drop(events);
    let mut reports = watch(&inbox, peers.len());
    reports.sort_by_key(|report| report.address);
    match options.json {
        true => println!("{}", report::json(&campaign.torrent, &reports)),
        false => println!("{}", report::table(&campaign.torrent, &reports)),
    }
    Ok(reports)
}

/// What all probes share.
struct Campaign {
    torrent: Torrent,
    id: PeerId,
    timeout: Duration,
    limits: Arc<Limits>,
}

impl Campaign {
    fn new(options: &Options, torrent: Torrent) -> Campaign {
        let limits = Limits {
            // The engine refuses what is longer, before it keeps it.
            max_message: wire::longest_message(torrent.pieces),
            // One limit in time for everything, which is the probe's and says what it waited for. The
            // engine's own would end some peers before, however long that is.
            idle_timeout: Duration::MAX,
            message_timeout: Duration::MAX,
            write_timeout: Duration::MAX,
            min_receive_rate: 0,
            min_send_rate: 0,
            // Nothing that we send last must arrive: do not wait for the peer to hang up.
            linger_timeout: Duration::ZERO,
            ..Limits::default()
        };
        Campaign {
            torrent,
            id: wire::new_peer_id(),
            timeout: Duration::from_secs(options.timeout),
            limits: Arc::new(limits),
        }
    }
}

/// The peers to probe, each once.
async fn find_peers(
    options: &Options,
    campaign: &Arc<Campaign>,
) -> Result<BTreeSet<SocketAddr>, Error> {
    let mut found = BTreeSet::new();
    // All names and all trackers at once, then one answer after the other.
    let names: Vec<_> =
        options.peers.iter().cloned().map(|name| heist::spawn(resolve(name))).collect();
    let in_file = options.peers.is_empty() && options.trackers.is_empty();
    let trackers = if in_file { &campaign.torrent.trackers } else { &options.trackers };
    let asked: Vec<_> =
        trackers.iter().map(|url| heist::spawn(ask(url.clone(), Arc::clone(campaign)))).collect();
    let mut failures = Vec::new();
    for name in names {
        match name.await.map_err(|error| error.to_string())? {
            Ok(addresses) => found.extend(addresses),
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    for answer in asked {
        match answer.await.map_err(|error| error.to_string())? {
            Ok(peers) => found.extend(peers),
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    // A name or tracker that fails does not keep us from the others.
    failures.iter().for_each(|failure| complain(failure));
    Ok(found)
}

async fn ask(url: String, campaign: Arc<Campaign>) -> Result<Vec<SocketAddr>, Error> {
    let Campaign { torrent, id, timeout, .. } = &*campaign;
    let answer = tracker::peers(&url, torrent, id, *timeout).await;
    answer.map_err(|error| format!("tracker {url}: {error}").into())
}

/// Probes one peer after the other until none is left. As many of these run as peers are to be
/// probed at once: that is all it takes to bound them.
async fn probe_next(
    campaign: Arc<Campaign>,
    queue: Arc<Mutex<BTreeSet<SocketAddr>>>,
    events: Sender<Event>,
) {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
    while let Some(address) = next() {
        probe(&campaign, address, &events).await;
    }
}

/// Probes one peer. Its report goes to `events`, whatever happens.
async fn probe(campaign: &Campaign, address: SocketAddr, events: &Sender<Event>) {
    let torrent = &campaign.torrent;
    let probe = Probe::new(address, torrent.info_hash, torrent.pieces, campaign.id, events.clone());
    let start = Instant::now();
    match timeout(campaign.timeout, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // The rest of the time is a deadline of the protocol: it knows what it waited for.
            let probe = probe.connected(start, campaign.timeout);
            Connection::new(stream, probe).limits(Arc::clone(&campaign.limits)).await;
        }
        Ok(Err(error)) => probe.failed(format!("could not connect: {error}")),
        Err(_elapsed) => probe.failed("timed out connecting".into()),
    }
}

/// Collects the reports, and draws a progress bar if standard error is a terminal.
fn watch(inbox: &Receiver<Event>, peers: usize) -> Vec<Report> {
    let bar = ProgressBar::new(peers as u64);
    let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {elapsed} {wide_msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar.enable_steady_tick(Duration::from_millis(500));
    let mut reached = [0; Stage::ALL.len()];
    let mut reports = Vec::new();
    for event in inbox {
        match event {
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

/// Each peer is a descriptor, and the soft limit is low for the sake of programs that use `select`.
/// Where it cannot be raised, what there is has to do.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Says on standard error what went wrong, much of which may be the words of others.
fn complain(what: &str) {
    eprintln!("peer_probe: {}", report::printable(what));
}
