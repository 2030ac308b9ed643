//! Real peers, found through a real tracker, with bad ones among them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use heist_tests::{hang_guard, has_tool};
use tempfile::TempDir;

use super::Told;
use super::daemons::Daemon;
use super::scripted::BlackHole;
use crate::torrent::Torrent;

#[test]
fn transmission_unchokes_and_opentracker_tells_where_it_is() {
    let _guard = hang_guard("peer_probe: transmission");
    let tools = [
        ("transmission-daemon", "transmission-daemon"),
        ("transmission-create", "transmission-cli"),
        ("opentracker", "opentracker"),
    ];
    let test = "transmission_unchokes_and_opentracker_tells_where_it_is";
    if !tools.iter().all(|(tool, package)| has_tool(test, tool, package)) {
        return;
    }
    let folder = TempDir::new().unwrap();
    open_to_all(folder.path());
    let folder = folder.path();
    let data = folder.join("data");
    std::fs::write(&data, vec![7; 45 * 32 * 1024]).unwrap();
    let path = folder.join("data.torrent");

    // The tracker wants to know the torrent, and the torrent names the tracker; but not in the part
    // that is hashed.
    create(&data, &path, "http://127.0.0.1/");
    let torrent = Torrent::parse(&std::fs::read(&path).unwrap()).unwrap();
    let hash: String = torrent.info_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let tracker = Daemon::opentracker(folder, &hash);
    let url = format!("http://{}/announce", tracker.address);
    std::fs::remove_file(&path).unwrap();
    create(&data, &path, &url);

    let clients = [1, 2, 3].map(|number| Daemon::transmission(folder, number, folder, &path));
    await_seeds(tracker.address, &torrent.info_hash, clients.len());
    clients[2].pause();
    let black_hole = BlackHole::open();
    let dead = "127.0.0.1:1".parse().unwrap();
    let options = [
        // Given with peers, since those alone would replace the file's.
        format!("--tracker={url}"),
        format!("--peer={dead}"),
        format!("--peer={}", black_hole.address),
        // Real clients look every ten seconds whom to unchoke; this is for the paused one.
        "--timeout=35".into(),
    ];
    let told = Told::by(&path, &options);

    assert_eq!(told.peers().len(), 5, "{}", told.0);
    for client in &clients[..2] {
        told.assert_unchoked(client.address, 45);
        assert_eq!(told.of(client.address)["client"], "Transmission 3000");
    }
    told.assert_failed(clients[2].address, "timed out waiting for its handshake");
    told.assert_failed(black_hole.address, "timed out connecting");
    told.assert_failed(dead, "could not connect");
}

/// Waits until the tracker knows of so many seeds: there is nothing else to see that by. Nobody
/// connects to them meanwhile, since a client takes one connection an address, and the next one only
/// after it has noticed the end of the last.
fn await_seeds(tracker: SocketAddr, info_hash: &[u8; 20], seeds: usize) {
    let hash: String = info_hash.iter().map(|byte| format!("%{byte:02x}")).collect();
    let expected = format!("8:completei{seeds}e");
    loop {
        let mut stream = TcpStream::connect(tracker).unwrap();
        let request = format!("GET /scrape?info_hash={hash} HTTP/1.0\r\nHost: tracker\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        if String::from_utf8_lossy(&answer).contains(&expected) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
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
