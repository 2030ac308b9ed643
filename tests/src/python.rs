//! Python with the packages that tests drive, in a virtual environment of its own.
//!
//! `.ci/run` makes it: `target/python`, with what `tests/python-requirements.txt` lists.

use std::path::Path;
use std::process::{Command, Stdio};

/// The Python that has `package`, for the test called `test`.
///
/// If it is missing, a line on standard error names the package, and the test should return.
///
/// # Panics
/// If it is missing and `HEIST_REQUIRE_TOOLS` is `1` in the environment.
pub fn python_with(test: &str, package: &str) -> Option<Command> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    let mut probe = Command::new(&python);
    probe.args(["-c", &format!("import {package}")]);
    probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if probe.status().is_ok_and(|status| status.success()) {
        return Some(Command::new(python));
    }
    crate::missing(test, &format!("{package} in target/python (pip: {package})"));
    None
}
