//! Real peers, found through a real tracker, with bad ones among them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use heist_tests::{hang_guard, has_tool};
use tempfile::TempDir;

use super::Told;
use super::daemons::Daemon;
use super::scripted::BlackHole;
use crate::torrent::{InfoHash, Torrent};

#[test]
fn transmission_unchokes_and_opentracker_tells_where_it_is() {
    let _guard = hang_guard("peer_probe: transmission");
    let test = "transmission_unchokes_and_opentracker_tells_where_it_is";
    if !has_tools(test, "transmission-daemon", "transmission-daemon") {
        return;
    }
    let swarm = Swarm::new(0);
    let (folder, tracker) = (swarm.folder.path(), swarm.tracker.address);

    let mut clients =
        [1, 2, 3].map(|number| Daemon::transmission(folder, number, folder, &swarm.torrent));
    swarm.await_count("8:completei3e", &mut clients);
    clients[2].pause();
    let black_hole = BlackHole::open();
    let dead = "127.0.0.1:1".parse().unwrap();
    let options = [
        // Given with peers, since those alone would replace the file's.
        format!("--tracker=http://{tracker}/announce"),
        format!("--peer={dead}"),
        format!("--peer={}", black_hole.address),
        // Real clients look every ten seconds which peers to unchoke; this is for the paused one.
        "--timeout=35".into(),
    ];
    let told = Told::by(&swarm.torrent, &options);

    assert_eq!(told.peers().len(), 5, "{}", told.0);
    for client in &clients[..2] {
        told.assert_unchoked(client.address, PIECES);
        let name = told.of(client.address)["client"].as_str().unwrap();
        assert!(name.starts_with("Transmission "), "{name}");
    }
    told.assert_failed(clients[2].address, "timed out waiting for its handshake");
    told.assert_failed(black_hole.address, "timed out connecting");
    told.assert_failed(dead, "could not connect");
}

#[test]
fn aria2_unchokes() {
    let _guard = hang_guard("peer_probe: aria2");
    if has_tools("aria2_unchokes", "aria2c", "aria2") {
        assert_seed(Daemon::aria2, 4, "A2-1-");
    }
}

#[test]
fn rtorrent_unchokes() {
    let _guard = hang_guard("peer_probe: rtorrent");
    if has_tools("rtorrent_unchokes", "rtorrent", "rtorrent") {
        assert_seed(Daemon::rtorrent, 6, "rTorrent ");
    }
}

#[test]
fn leecher_transmission_is_a_result() {
    let _guard = hang_guard("peer_probe: a leecher, transmission");
    let test = "leecher_transmission_is_a_result";
    if has_tools(test, "transmission-daemon", "transmission-daemon") {
        assert_leecher(Daemon::transmission, 8, "Transmission ");
    }
}

#[test]
fn leecher_aria2_is_a_result() {
    let _guard = hang_guard("peer_probe: a leecher, aria2");
    if has_tools("leecher_aria2_is_a_result", "aria2c", "aria2") {
        assert_leecher(Daemon::aria2, 10, "A2-1-");
    }
}

#[test]
fn leecher_rtorrent_is_a_result() {
    let _guard = hang_guard("peer_probe: a leecher, rtorrent");
    if has_tools("leecher_rtorrent_is_a_result", "rtorrent", "rtorrent") {
        assert_leecher(Daemon::rtorrent, 12, "rTorrent ");
    }
}

/// Starts a client: of the swarm in this folder, the `number`th of this process, with this data.
type Client = fn(folder: &Path, number: u8, data: &Path, torrent: &Path) -> Daemon;

fn assert_seed(client: Client, number: u8, name: &str) {
    let swarm = Swarm::new(number);
    let folder = swarm.folder.path();
    let mut clients = [client(folder, number + 1, folder, &swarm.torrent)];
    swarm.await_count("8:completei1e", &mut clients);
    let [client] = clients;
    let told = swarm.probe(&client, name);
    told.assert_unchoked(client.address, PIECES);
}

fn assert_leecher(client: Client, number: u8, name: &str) {
    let swarm = Swarm::new(number);
    let folder = swarm.folder.path();
    let empty = folder.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut clients = [client(folder, number + 1, &empty, &swarm.torrent)];
    swarm.await_count("10:incompletei1e", &mut clients);
    let [client] = clients;
    let told = swarm.probe(&client, name);
    told.assert_without_pieces(client.address);
}

/// Whether there is this client, and what a [`Swarm`] needs.
fn has_tools(test: &str, tool: &str, package: &str) -> bool {
    let others = [("transmission-create", "transmission-cli"), ("opentracker", "opentracker")];
    let mut tools = [(tool, package)].into_iter().chain(others);
    tools.all(|(tool, package)| has_tool(test, tool, package))
}

/// A file, its torrent, and a tracker that knows of it alone.
struct Swarm {
    folder: TempDir,
    torrent: PathBuf,
    info_hash: InfoHash,
    tracker: Daemon,
}

impl Swarm {
    /// The tracker is the `number`th program of this process.
    fn new(number: u8) -> Swarm {
        let folder = TempDir::new().unwrap();
        open_to_all(folder.path());
        let data = folder.path().join("data");
        std::fs::write(&data, vec![7; PIECES * 32 * 1024]).unwrap();
        let path = folder.path().join("data.torrent");

        // The tracker wants to know the torrent, and the torrent names the tracker; but not in the
        // part that is hashed.
        create(&data, &path, "http://127.0.0.1/");
        let Torrent { info_hash, .. } = Torrent::parse(&std::fs::read(&path).unwrap()).unwrap();
        let hash: String = info_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let tracker = Daemon::opentracker(folder.path(), number, &hash);
        std::fs::remove_file(&path).unwrap();
        create(&data, &path, &format!("http://{}/announce", tracker.address));
        Swarm { folder, torrent: path, info_hash, tracker }
    }

    /// Probes all that the tracker knows, which is `client`, and calls itself `name`.
    fn probe(&self, client: &Daemon, name: &str) -> Told {
        let told = Told::by(&self.torrent, &[""; 0]);
        assert_eq!(told.peers().len(), 1, "{}", told.0);
        let found = told.of(client.address)["client"].as_str().unwrap();
        assert!(found.starts_with(name), "{found}");
        told
    }

    /// Waits until the tracker tells of so many peers: there is nothing else to see that by. Fails if
    /// one of `clients` ends. The test connects to none of them meanwhile, since a client takes one
    /// connection an address, and the next one only after it has noticed the end of the last.
    fn await_count(&self, expected: &str, clients: &mut [Daemon]) {
        let hash: String = self.info_hash.iter().map(|byte| format!("%{byte:02x}")).collect();
        loop {
            let mut stream = TcpStream::connect(self.tracker.address).unwrap();
            let request = format!("GET /scrape?info_hash={hash} HTTP/1.0\r\nHost: tracker\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            if String::from_utf8_lossy(&answer).contains(expected) {
                return;
            }
            clients.iter_mut().for_each(Daemon::assert_running);
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn create(data: &Path, torrent: &Path, tracker: &str) {
    let mut command = Command::new("transmission-create");
    command.args(["--piecesize", "32", "--tracker", tracker, "--outfile"]).arg(torrent).arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
}

/// The tracker changes to a user that may not read what belongs to others.
fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

const PIECES: usize = 45;
