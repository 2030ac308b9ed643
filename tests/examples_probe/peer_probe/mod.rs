//! `peer_probe` against bytes alone, against peers that misbehave, and against real ones.

mod bytes;
mod daemons;
mod descriptors;
mod engine;
mod foreign;
mod input;
mod leechers;
#[path = "../../../examples/peer_probe/limits.rs"]
mod limits;
mod real;
mod scripted;
mod trackers;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::example::{Outcome, run};

/// A torrent of as many pieces as [`PIECES`] says, without trackers, and its info-hash.
fn torrent() -> (Vec<u8>, [u8; 20]) {
    let hashes = "x".repeat(20 * PIECES);
    let info = format!(
        "d6:lengthi{}e4:name4:data12:piece lengthi16384e6:pieces{}:{hashes}e",
        16384 * PIECES,
        hashes.len()
    );
    (format!("d4:info{info}e").into_bytes(), Sha1::digest(info).into())
}

fn write_torrent(folder: &Path) -> PathBuf {
    let path = folder.join("data.torrent");
    std::fs::write(&path, torrent().0).unwrap();
    path
}

/// What `peer_probe --json` said of one run.
struct Told(Value);

impl Told {
    /// Runs it with `options` on the torrent at `path`.
    fn by(path: &Path, options: &[impl AsRef<OsStr>]) -> Told {
        let mut arguments = vec![path.as_os_str(), "--json".as_ref()];
        arguments.extend(options.iter().map(AsRef::as_ref));
        let outcome = run("peer_probe", arguments);
        assert_eq!(outcome.stderr, "", "{outcome:?}");
        Told::in_outcome(&outcome)
    }

    fn in_outcome(outcome: &Outcome) -> Told {
        let json = serde_json::from_str(&outcome.stdout);
        let told = Told(json.unwrap_or_else(|error| panic!("{error}: {outcome:?}")));
        let any = told.peers().iter().any(|peer| peer["error"].is_null());
        assert_eq!(outcome.code, Some(if any { 0 } else { 1 }), "{outcome:?}");
        told
    }

    fn peers(&self) -> &[Value] {
        self.0["peers"].as_array().unwrap()
    }

    fn of(&self, address: SocketAddr) -> &Value {
        let found = self.peers().iter().find(|peer| peer["peer"] == *address.to_string());
        found.unwrap_or_else(|| panic!("nothing of {address} in {}", self.0))
    }

    fn assert_unchoked(&self, address: SocketAddr, pieces: usize) {
        let peer = self.of(address);
        assert!(peer["error"].is_null(), "{peer}");
        assert_eq!(peer["pieces"], pieces, "{peer}");
        let times = ["connected", "handshake", "bitfield", "unchoked"];
        let times: Vec<_> = times.iter().map(|time| peer[time].as_f64().unwrap()).collect();
        assert!(times.is_sorted(), "{peer}");
    }

    /// It answered, and has nothing to unchoke for.
    fn assert_without_pieces(&self, address: SocketAddr) {
        let peer = self.of(address);
        assert!(peer["error"].is_null(), "{peer}");
        assert_eq!(peer["pieces"], 0, "{peer}");
        assert!(peer["handshake"].is_f64(), "{peer}");
    }

    fn assert_failed(&self, address: SocketAddr, why: &str) {
        let peer = self.of(address);
        let error = peer["error"].as_str().unwrap_or_else(|| panic!("no error, but {why}: {peer}"));
        assert!(error.contains(why), "{error:?} is not {why:?}");
    }
}

/// Calls `test` with a time limit in seconds, and with longer ones until it passes: some peers have to
/// reach the limit and others must not, however slow the machine is.
fn with_time_limit(first: u64, test: impl Fn(u64)) {
    let passes = |limit| catch_unwind(AssertUnwindSafe(|| test(limit))).is_ok();
    if !(passes(first) || passes(4 * first)) {
        test(16 * first);
    }
}

/// Not a multiple of eight, so that a bitfield has spare bits.
const PIECES: usize = 21;
