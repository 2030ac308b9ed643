//! Text of others, which must not act on the terminal it is printed to.

use std::path::{Path, PathBuf};

use heist_tests::hang_guard;
use sha1::{Digest, Sha1};
use tempfile::TempDir;

use super::Told;
use super::input::{ok, tracker};
use super::scripted::{answer, message};
use crate::example::{Outcome, run};

/// An escape sequence, its 8-bit form, a bell, a line feed, a change of the writing direction and its
/// isolate, a line separator, a delete, and what is not UTF-8.
const EVIL: &[u8] =
    b"a\x1b[31m\xc2\x9b2J\x07\nb\xe2\x80\xaec\xe2\x81\xa6\xe2\x80\xa8\x7f\xff\xfed\r\0'\"\\e";

/// The same, as it may be shown.
const SHOWN: &str = "a\\u{1b}[31m\\u{9b}2J\\u{7}\\nb\\u{202e}c\\u{2066}\\u{2028}\\u{7f}\u{fffd}\
                     \u{fffd}d\\r\\0'\"\\\\e";

fn bytes(text: &[u8]) -> Vec<u8> {
    [format!("{}:", text.len()).as_bytes(), text].concat()
}

/// A torrent of one piece with that name and tracker, and its info-hash.
fn evil_torrent(folder: &Path, tracker: &[u8]) -> (PathBuf, [u8; 20]) {
    let head = b"d6:lengthi1e4:name";
    let info =
        [head, &bytes(EVIL)[..], b"12:piece lengthi16384e6:pieces20:", &[b'x'; 20], b"e"].concat();
    let path = folder.join("evil.torrent");
    std::fs::write(&path, [b"d8:announce", &bytes(tracker)[..], b"4:info", &info, b"e"].concat())
        .unwrap();
    (path, Sha1::digest(info).into())
}

fn assert_harmless(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        let acts = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        };
        let found = text.char_indices().find(|(_, c)| acts(*c));
        assert_eq!(found, None, "in {text:?}");
    }
}

#[test]
fn names_of_clients_and_torrents_are_escaped() {
    let _guard = hang_guard("peer_probe: foreign names");
    let folder = TempDir::new().unwrap();
    let (path, hash) = evil_torrent(folder.path(), b"");
    // As the peer sends it, as JSON has it, and as the table shows it.
    let ids: [(&[u8; 20], &str, &str); 3] = [
        (b"-\x1b]0m\x07\n-abcdefghijkl", "\x1b] 0m\x07\n", "\\u{1b}] 0m\\u{7}\\n"),
        (
            b"\x1b[2J\xe2\x80\xae\xffabcdefghijkl",
            "\x1b[2J\u{202e}\u{fffd}",
            "\\u{1b}[2J\\u{202e}\u{fffd}",
        ),
        (&[0; 20], "\0\0\0\0\0\0\0\0", "\\0\\0\\0\\0\\0\\0\\0\\0"),
    ];
    for json in [false, true] {
        let peers = ids.map(|(id, ..)| {
            let hello = [b"\x13BitTorrent protocol", &[0; 8][..], &hash, &id[..]].concat();
            answer([hello, message(5, &[0x80]), message(1, b"")].concat())
        });
        let options = peers.map(|address| format!("--peer={address}"));
        let options = options.into_iter().chain(json.then(|| "--json".into()));
        let path = path.to_str().unwrap().to_owned();
        let outcome = run("peer_probe", [path].into_iter().chain(options));
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{outcome:?}");
        assert_harmless(&outcome);
        if json {
            let told = Told::in_outcome(&outcome);
            assert_eq!(told.0["torrent"]["name"], *String::from_utf8_lossy(EVIL), "{outcome:?}");
            for (address, (_, client, _)) in peers.into_iter().zip(ids) {
                assert_eq!(told.of(address)["client"], client);
            }
        } else {
            // The heading, one line for each, and the summary.
            assert_eq!(outcome.stdout.lines().count(), 5, "{outcome:?}");
            assert!(outcome.stdout.contains(&format!("\n{SHOWN}: 3 of 3")), "{outcome:?}");
            for (address, (_, _, client)) in peers.into_iter().zip(ids) {
                let cells = |line: &&str| line.trim().starts_with(&format!("{address} "));
                let line = outcome.stdout.lines().find(cells).unwrap();
                assert!(line.contains(&format!(" {client} ")), "{client} is not in {line:?}");
            }
        }
    }
}

#[test]
fn words_of_trackers_and_their_addresses_are_escaped() {
    let _guard = hang_guard("peer_probe: foreign trackers");
    let folder = TempDir::new().unwrap();
    let refusal = ok(&[b"d14:failure reason", &bytes(EVIL)[..], b"e"].concat());
    let refuses = format!("http://{}/", tracker(refusal));
    let evil_url = [b"http://127.0.0.1/", EVIL].concat();
    let evil_scheme = [EVIL, b"://127.0.0.1/"].concat();
    let status = tracker(*b"HTTP/1.1 500 \x1b[31m\xc2\x9b\r\nContent-Length: 0\r\n\r\n");
    let moved =
        b"HTTP/1.1 302 Found\r\nLocation: http://\xe2\x80\xae/\r\nContent-Length: 0\r\n\r\n";
    let cases = [
        (refuses.into_bytes(), format!("it refused: {SHOWN}\n")),
        (evil_url, format!("tracker http://127.0.0.1/{SHOWN}: ")),
        (evil_scheme, format!("tracker {SHOWN}://127.0.0.1/: ")),
        (format!("http://{status}/").into_bytes(), "tracker http".into()),
        (format!("http://{}/", tracker(*moved)).into_bytes(), "it answered 302".into()),
    ];
    for (url, expected) in cases {
        let (path, _) = evil_torrent(folder.path(), &url);
        let outcome = run("peer_probe", [path]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_harmless(&outcome);
        assert!(outcome.stderr.contains(&expected), "{expected} is not in {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 2, "{outcome:?}");
    }
}

#[test]
fn what_is_no_control_character_stays_as_it_is() {
    let _guard = hang_guard("peer_probe: names of the world");
    let folder = TempDir::new().unwrap();
    // With combining marks, as file systems decompose them.
    for name in ["Bob's \"data\"", "Cafe\u{301} µ", "नमस्ते", "日本語", "🎬"] {
        let text = [b"d14:failure reason", &bytes(name.as_bytes())[..], b"e"].concat();
        let url = format!("http://{}/", tracker(ok(&text)));
        let (path, _) = evil_torrent(folder.path(), url.as_bytes());
        let outcome = run("peer_probe", [path]);
        assert!(outcome.stderr.contains(&format!("it refused: {name}\n")), "{outcome:?}");
    }
}
