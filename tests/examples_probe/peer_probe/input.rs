//! Bad input, and trackers that answer badly.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use heist_tests::hang_guard;
use tempfile::TempDir;

use super::{with_time_limit, write_torrent};
use crate::example::run;

#[test]
fn bad_input_is_refused_in_a_line() {
    let _guard = hang_guard("peer_probe: input");
    let folder = TempDir::new().unwrap();
    let good = write_torrent(folder.path());
    let good = good.to_str().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (text, no_info) = (file("text", "# heist\n"), file("no_info", "d8:announce1:xe"));
    let version_2 = file("version_2", "d4:infod4:name1:xee");
    let cut = file("cut", "d4:infod4:name1:x6:pieces20:abc");
    let deep = file("deep", &"l".repeat(1 << 20));
    let cases: [(&[&str], &str); 10] = [
        (&["/nowhere/data.torrent"], "No such file"),
        (&[&text], "not a bencoded dictionary"),
        (&[&no_info], "no info dictionary"),
        (&[&version_2], "no list of pieces"),
        (&[&cut], "cut"),
        (&[&deep], "not a bencoded dictionary"),
        (&[good], "names no tracker"),
        (&[good, "--peer=127.0.0.1"], "no port"),
        (&[good, "--at-once=0"], "--at-once"),
        (&[good, "--at-once=-1"], "--at-once"),
    ];
    for (arguments, why) in cases {
        let outcome = run("peer_probe", arguments);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        let line = outcome.stderr.lines().next().unwrap();
        assert!(line.contains(why), "{outcome:?}");
        assert!(outcome.stdout.is_empty(), "{outcome:?}");
    }
}

/// Answers every request with `response`.
pub(super) fn tracker(response: impl Into<Vec<u8>>) -> SocketAddr {
    let response = response.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            respond(stream.unwrap(), &response);
        }
    });
    address
}

fn respond(stream: TcpStream, response: &[u8]) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    // A client that has heard enough may have gone.
    let _ = stream.get_mut().write_all(response);
}

pub(super) fn ok(body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.0 200 OK\r\n\r\n", body].concat()
}

#[test]
fn trackers_are_believed_only_so_far() {
    let _guard = hang_guard("peer_probe: trackers");
    let folder = TempDir::new().unwrap();
    let torrent = write_torrent(folder.path());
    let refusal = [&b"d14:failure reason100000:"[..], &[b'y'; 100_000], b"e"].concat();
    let cases = [
        (ok(b"d14:failure reason4:paye"), "it refused: pay"),
        (ok(&refusal), &format!("it refused: {}\n", "y".repeat(400))),
        (ok(b"<html>"), "no bencoded dictionary"),
        (ok(b"d5:peers5:12345e"), "is cut off"),
        (ok(&[b'd'; 2 << 20]), "length limit exceeded"),
        (ok(&[&b"d1:x"[..], &[b'l'; 1 << 16]].concat()), "tracker"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), "404"),
        (b"nonsense\r\n\r\n".to_vec(), "invalid HTTP"),
    ];
    for (response, why) in cases {
        let url = format!("--tracker=http://{}/announce?key=1", tracker(response));
        let outcome = run("peer_probe", [torrent.as_os_str(), url.as_ref()]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(why), "{outcome:?}");
        assert!(outcome.stderr.contains("no peers to probe"), "{outcome:?}");
    }
}

#[test]
fn every_form_of_a_trackers_list_is_understood() {
    let _guard = hang_guard("peer_probe: forms");
    let folder = TempDir::new().unwrap();
    let torrent = write_torrent(folder.path());
    // Each is dead, on a port without a listener: what counts is that it was tried. A peer on
    // port 9 is this program itself.
    let compact =
        ok(b"d8:intervali60e5:peers18:\x7f\0\0\x01\0\x01\x7f\0\0\x01\0\x09\x7f\0\0\x02\0\x01e");
    let six = [b"d6:peers618:", &[0; 15][..], &[1, 0, 1], b"e"].concat();
    let list = ok(b"d5:peersld2:ip9:127.0.0.14:porti1eed2:ip3:::14:porti1eeee");
    // Entries without an address do not spoil the others.
    let bad = [
        &b"d5:peersld2:ip2:\xff\xfe4:porti1eed2:ip9:127.0.0.14:porti65536eed4:porti1ee"[..],
        b"d2:ip9:127.0.0.14:porti-1eed2:ip9:127.0.0.24:porti1eeee",
    ]
    .concat();
    let cases = [
        (compact, vec!["127.0.0.1:1", "127.0.0.2:1"]),
        (ok(&six), vec!["[::1]:1"]),
        (list, vec!["127.0.0.1:1", "[::1]:1"]),
        (ok(&bad), vec!["127.0.0.2:1"]),
    ];
    for (response, expected) in cases {
        let url = format!("--tracker=http://localhost:{}/a", tracker(response).port());
        let outcome = run("peer_probe", [torrent.as_os_str(), url.as_ref(), "--json".as_ref()]);
        assert_eq!((outcome.code, &*outcome.stderr), (Some(1), ""), "{outcome:?}");
        let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let peers: Vec<_> = told["peers"].as_array().unwrap().iter().map(|p| &p["peer"]).collect();
        assert_eq!(peers, expected);
    }
}

/// Failure: the peers of a tracker that does not hear the second announce, "stopped", were lost.
#[test]
fn peers_count_though_the_tracker_then_falls_silent() {
    let _guard = hang_guard("peer_probe: a silent tracker");
    let folder = TempDir::new().unwrap();
    let torrent = write_torrent(folder.path());
    with_time_limit(2, |seconds| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("--tracker=http://{}/a", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            respond(stream, &ok(b"d5:peers6:\x7f\0\0\x01\0\x01e"));
            let _silent = listener.accept();
            thread::park();
        });
        let limit = format!("--timeout={seconds}");
        let outcome = run("peer_probe", [torrent.to_str().unwrap(), &url, &limit]);
        assert_eq!((outcome.code, &*outcome.stderr), (Some(1), ""), "{outcome:?}");
        assert!(outcome.stdout.contains("127.0.0.1:1"), "{outcome:?}");
    });
}
