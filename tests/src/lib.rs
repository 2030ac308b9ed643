//! Tools that the tests share: an end for tests that hang, a word about programs that a test
//! needs, a strict reader of Prometheus' text, and its own checker.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

pub mod exposition;
pub mod promtool;

/// Ends the whole test process if it lives too long: a test that waits for an event must not wait
/// for ever when that does not come.
#[must_use = "the guard watches until it is dropped"]
pub struct HangGuard(#[allow(dead_code, reason = "dropped to end the watch")] Sender<()>);

/// Watches over the test called `name` for two minutes.
pub fn hang_guard(name: &'static str) -> HangGuard {
    let (end, ended) = channel();
    thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{name} hangs: it did not end in {PATIENCE:?}");
            std::process::exit(101);
        }
    });
    HangGuard(end)
}

/// Whether the external program `tool` is there to be used by the test called `test`.
///
/// If not, it says so on standard error, with the Debian package that has it, and the test should
/// return.
///
/// # Panics
/// If it is not there and `HEIST_REQUIRE_TOOLS` is `1` in the environment.
pub fn has_tool(test: &str, tool: &str, package: &str) -> bool {
    let mut probe = Command::new(tool);
    probe.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if probe.status().is_ok() {
        return true;
    }
    let need = format!("{tool} (Debian: {package})");
    let required = std::env::var_os("HEIST_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(!required, "{test} needs {need}");
    skipped(test, &need);
    false
}

/// Tells the user that the test called `test` did nothing for want of `need`.
pub fn skipped(test: &str, need: &str) {
    // Not `eprintln!`, which the test runner captures.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: needs {need}");
}

const PATIENCE: Duration = Duration::from_secs(120);
