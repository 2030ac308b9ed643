//! Clients of other projects: curl and wrk.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use heist_tests::{hang_guard, has_tool};
use sha2::{Digest, Sha256};

use crate::bodies::noise;
use crate::child::{Program, run};

/// A file to upload; dropping it removes it.
pub(crate) struct NoiseFile {
    path: PathBuf,
    sha256: String,
}

impl NoiseFile {
    /// Writes a file of `length` bytes, for the test called `name`.
    pub(crate) fn new(name: &str, length: usize) -> NoiseFile {
        // Two test runs may overlap.
        let name = format!("{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let bytes = noise(length);
        fs::write(&path, &bytes).unwrap();
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        NoiseFile { path, sha256 }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().expect("the path is UTF-8")
    }

    /// The hash of its bytes, in hexadecimal.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }
}

impl Drop for NoiseFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

pub(crate) fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    let outcome =
        run(command.args(["--silent", "--show-error", "--max-time", "60"]).args(arguments));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.stdout
}

#[test]
fn curl_reads_pages_echoes_and_uploads() {
    let _guard = hang_guard("curl");
    if !has_tool("curl_reads_pages_echoes_and_uploads", "curl", "curl") {
        return;
    }
    let program = Program::start(&["--max-body", "8MiB"]);
    let url = format!("http://{}", program.address());
    let at = |path: &str| format!("{url}{path}");
    assert!(curl(&[&at("/")]).contains("This is heist"));
    assert_eq!(curl(&["--data", "hello", &at("/echo")]), "hello");

    let file = NoiseFile::new("curl-upload", 4_000_000);
    let data = format!("@{}", file.path());
    // curl waits for 100 Continue before it sends a body of this length.
    let chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary", &data];
    for arguments in [&chunked[2..], &chunked[..]] {
        let receipt = curl(&[arguments, &[&at("/upload")]].concat());
        assert!(receipt.contains("\"bytes\":4000000"), "{receipt}");
    }
    let file = NoiseFile::new("curl-too-long", 9 << 20);
    let data = format!("@{}", file.path());
    // With `Expect: 100-continue`, which curl adds by itself: for a client that sends the whole
    // body regardless, the bounded lingering close may end before it reads the answer.
    let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    let status = [&status[..], &["--header", "Expect: 100-continue"]].concat();
    let refused = curl(&[&status[..], &["--data-binary", &data, &at("/upload")]].concat());
    assert_eq!(refused, "413");
}

#[test]
fn wrk_loads_without_an_error() {
    let _guard = hang_guard("wrk");
    if !has_tool("wrk_loads_without_an_error", "wrk", "wrk") {
        return;
    }
    let program = Program::start(&[]);
    let url = format!("http://{}/", program.address());
    let outcome = run(Command::new("wrk").args(["-t1", "-c16", "-d1s", "--timeout", "60s", &url]));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("requests in"), "{outcome:?}");
    assert!(!outcome.stdout.contains("Socket errors"), "{outcome:?}");
    assert!(!outcome.stdout.contains("Non-2xx"), "{outcome:?}");
}
