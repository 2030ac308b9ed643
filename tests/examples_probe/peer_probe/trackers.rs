//! What a tracker is asked, and how much of its answer is used.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use heist_tests::hang_guard;
use tempfile::TempDir;

use super::input::{ok, tracker};
use super::{Told, write_torrent};
use crate::example::run;
use crate::torrent::Torrent;

/// Answers every request with `response`, and sends the request's head to the receiver.
fn recording_tracker(listen: &str, response: Vec<u8>) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind(listen).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (requests, inbox) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while stream.read_line(&mut head).unwrap() > 2 {}
            let _ = requests.send(head);
            let _ = stream.get_mut().write_all(&response);
        }
    });
    (port, inbox)
}

#[test]
fn answer_that_is_refused_is_followed_by_stopped() {
    let _guard = hang_guard("peer_probe: stopped");
    let folder = TempDir::new().unwrap();
    let torrent = write_torrent(folder.path());
    for answer in [&b"<html>"[..], b"d5:peers5:12345e", b"d5:peers0:8:intervali60ee"] {
        let (port, inbox) = recording_tracker("127.0.0.1:0", ok(answer));
        let url = format!("--tracker=http://127.0.0.1:{port}/a?key=1");
        let outcome = run("peer_probe", [torrent.as_os_str(), url.as_ref()]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        for event in ["started", "stopped"] {
            let head = inbox.recv_timeout(Duration::from_secs(60)).unwrap();
            assert!(head.contains(&format!("&event={event} HTTP/1.1\r\n")), "{head}");
        }
    }
}

#[test]
fn host_header_has_the_host_and_the_port_alone() {
    let _guard = hang_guard("peer_probe: the header Host");
    let folder = TempDir::new().unwrap();
    let torrent = write_torrent(folder.path());
    let cases = [
        ("127.0.0.1:0", "", "127.0.0.1"),
        ("127.0.0.1:0", "user:secret@", "127.0.0.1"),
        ("127.0.0.1:0", "user@", "localhost"),
        ("[::1]:0", "user:secret@", "[::1]"),
    ];
    for (listen, user, host) in cases {
        let (port, inbox) = recording_tracker(listen, ok(b"de"));
        let url = format!("--tracker=http://{user}{host}:{port}/a");
        run("peer_probe", [torrent.as_os_str(), url.as_ref()]);
        let head = inbox.recv().unwrap();
        let hosts: Vec<_> =
            head.lines().filter(|line| line.to_lowercase().starts_with("host:")).collect();
        assert_eq!(hosts.len(), 1, "{head}");
        assert_eq!(hosts[0].to_lowercase(), format!("host: {host}:{port}"));
        assert!(!head.contains("secret"), "{head}");
    }
}

#[test]
fn keys_out_of_order_are_named_in_the_error() {
    let _guard = hang_guard("peer_probe: unsorted keys");
    let folder = TempDir::new().unwrap();
    let torrent = write_torrent(folder.path());
    for answer in [&b"d5:peers0:8:intervali60ee"[..], b"d5:peersld4:porti1e2:ip3:::1eee"] {
        let url = format!("--tracker=http://{}/", tracker(ok(answer)));
        let outcome = run("peer_probe", [torrent.as_os_str(), url.as_ref()]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("Keys were not sorted"), "{outcome:?}");
    }
}

#[test]
fn at_most_a_thousand_peers_of_a_tracker_are_probed() {
    let _guard = hang_guard("peer_probe: many peers of a tracker");
    let folder = TempDir::new().unwrap();
    // The program itself, on port 9, takes no place.
    let mut compact = b"\x7f\x58\xff\xff\0\x09".repeat(500);
    for number in 0..3000_u16 {
        compact.extend([&[127, 88], &number.to_be_bytes()[..], &[0, 1]].concat());
    }
    let answer = [format!("d5:peers{}:", compact.len()).as_bytes(), &compact, b"e"].concat();
    let url = format!("--tracker=http://{}/", tracker(ok(&answer)));
    let told = Told::by(&write_torrent(folder.path()), &[url]);
    assert_eq!(told.peers().len(), 1000);
}

#[test]
fn torrent_names_at_most_fifty_trackers() {
    let urls: Vec<_> = (0..5000).map(|number| format!("12:http://{number:04}/")).collect();
    let one_tier = format!("l{}e", urls.concat());
    let a_tier_each: String = urls.iter().map(|url| format!("l{url}e")).collect();
    for tiers in [one_tier, a_tier_each] {
        let info = "4:infod6:pieces20:aaaaaaaaaaaaaaaaaaaae";
        let text = format!("d13:announce-listl{tiers}e{info}e");
        let torrent = Torrent::parse(text.as_bytes()).unwrap();
        assert_eq!(torrent.trackers.len(), 50);
        assert_eq!(torrent.trackers[49], "http://0049/");
    }
}
