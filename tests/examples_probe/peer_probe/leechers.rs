//! Peers without pieces, which may leave out the bitfield (BEP 3).

use std::io::Write;
use std::thread;
use std::time::Duration;

use heist_tests::hang_guard;
use tempfile::TempDir;

use super::scripted::{answer, handshake, message, peer};
use super::{Told, torrent, with_time_limit, write_torrent};
use crate::example::run;

/// Failure: "timed out waiting for its bitfield".
#[test]
fn leecher_is_a_result_and_no_time_out() {
    let _guard = hang_guard("peer_probe: leechers");
    with_time_limit(10, leechers_are_results);
}

fn leechers_are_results(seconds: u64) {
    let (_, hash) = torrent();
    let hello = handshake(&hash);
    let with = |bytes: Vec<u8>| answer([hello.clone(), bytes].concat());
    let dripping = {
        let hello = hello.clone();
        peer(move |mut stream| {
            stream.write_all(&hello).unwrap();
            while stream.write_all(&[0]).is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        })
    };
    let leechers = [
        (with(vec![]), false),
        (with(vec![0; 4]), false),
        (with(message(20, b"\0d1:md11:ut_metadatai1eee")), false),
        (with(message(15, b"")), false),
        (with(message(1, b"")), true),
        (with(message(5, &[0; 3])), false),
        (dripping, false),
    ];
    let folder = TempDir::new().unwrap();
    let peers = leechers.iter().map(|(address, _)| format!("--peer={address}"));
    let options: Vec<_> = peers.chain([format!("--timeout={seconds}")]).collect();
    let told = Told::by(&write_torrent(folder.path()), &options);
    for (address, unchoked) in leechers {
        told.assert_without_pieces(address);
        assert_eq!(told.of(address)["unchoked"].is_f64(), unchoked);
    }
}

#[test]
fn table_says_that_a_leecher_has_no_pieces() {
    let _guard = hang_guard("peer_probe: a leecher in the table");
    let leecher = answer(handshake(&torrent().1));
    let folder = TempDir::new().unwrap();
    let path = write_torrent(folder.path());
    let peer = format!("--peer={leecher}");
    let outcome = run("peer_probe", [path.as_os_str(), peer.as_ref()]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{outcome:?}");
    assert!(outcome.stdout.contains("0/21"), "{outcome:?}");
    assert!(outcome.stdout.contains("no pieces"), "{outcome:?}");
    assert!(outcome.stdout.contains("0 of 1 peers unchoked us, 1 had no pieces"), "{outcome:?}");
}

#[test]
fn peer_that_fails_behind_have_none_is_not_counted_as_empty() {
    let _guard = hang_guard("peer_probe: have none and a failure");
    let bytes = [handshake(&torrent().1), message(15, b""), message(4, &[1])].concat();
    let folder = TempDir::new().unwrap();
    let peer = format!("--peer={}", answer(bytes));
    let outcome = run("peer_probe", [write_torrent(folder.path()).as_os_str(), peer.as_ref()]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(1), ""), "{outcome:?}");
    assert!(outcome.stdout.ends_with(": 0 of 1 peers unchoked us\n"), "{outcome:?}");
}
