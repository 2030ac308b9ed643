//! Clients of other projects: curl and wrk.

use std::path::PathBuf;
use std::process::Command;

use heist_tests::{hang_guard, has_tool};

use crate::child::{Program, run};

fn curl(arguments: &[&str]) -> String {
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

    // Two test runs may overlap.
    let name = format!("curl-upload-{}", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, vec![b'x'; 4_000_000]).unwrap();
    let data = format!("@{}", file.display());
    // curl waits for 100 Continue before it sends a body of this length.
    let chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary", &data];
    for arguments in [&chunked[2..], &chunked[..]] {
        let receipt = curl(&[arguments, &[&at("/upload")]].concat());
        assert!(receipt.contains("\"bytes\":4000000"), "{receipt}");
    }
    std::fs::write(&file, vec![b'x'; 9 << 20]).unwrap();
    // With `Expect: 100-continue`, which curl adds by itself: for a client that sends the whole
    // body regardless, the bounded lingering close may end before it reads the answer.
    let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    let status = [&status[..], &["--header", "Expect: 100-continue"]].concat();
    let refused = curl(&[&status[..], &["--data-binary", &data, &at("/upload")]].concat());
    assert_eq!(refused, "413");
    std::fs::remove_file(&file).unwrap();
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
