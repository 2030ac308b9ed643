//! Tools that the tests share: a limit for tests that hang, checks for external programs and for
//! packages of Python, a blocking HTTP client, a strict reader of Prometheus' text, and Prometheus' own checker.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

pub mod exposition;
pub mod http_client;
pub mod promtool;
pub mod python;

/// Ends the test process if it runs too long: a test that waits for an event must end when the
/// event does not come.
#[must_use = "the guard watches until it is dropped"]
pub struct HangGuard(#[allow(dead_code, reason = "dropped to end the watch")] Sender<()>);

/// Gives the test called `name` ten minutes.
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

/// Whether the external program `tool`, which the test called `test` needs, is installed.
///
/// If it is missing, a line on standard error names the Debian package that has it, and the test
/// should return.
///
/// # Panics
/// If it is missing and `HEIST_REQUIRE_TOOLS` is `1` in the environment.
pub fn has_tool(test: &str, tool: &str, package: &str) -> bool {
    let mut probe = Command::new(tool);
    probe.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if probe.status().is_ok() {
        return true;
    }
    missing(test, &format!("{tool} (Debian: {package})"));
    false
}

/// Reports that the test called `test` cannot run, because `need` is not installed.
///
/// # Panics
/// If `HEIST_REQUIRE_TOOLS` is `1` in the environment.
pub fn missing(test: &str, need: &str) {
    let required = std::env::var_os("HEIST_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(!required, "{test} needs {need}");
    skipped(test, need);
}

/// Reports on standard error that the test called `test` did nothing because `need` is missing.
pub fn skipped(test: &str, need: &str) {
    // Not `eprintln!`, which the test runner captures.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: needs {need}");
}

const PATIENCE: Duration = Duration::from_secs(600);
