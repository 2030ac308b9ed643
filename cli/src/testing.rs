//! Tests that need a second process: the same binary, running the same test in another role.

use std::env;
use std::process::{Command, Stdio};

/// The role of this process in its test; `None` for the process that runs the test.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// A process with the role `role` in the test with the full name `test`.
pub(crate) fn child(test: &str, role: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("a test knows its binary"));
    command.args(["--exact", test, "--nocapture"]).env(ROLE, role).stdout(Stdio::null());
    command
}

/// Ends this process, whose role is done. A process that finds no test of its name ends with
/// another code.
pub(crate) fn done() -> ! {
    std::process::exit(DONE)
}

/// The exit code of a process whose role is done.
pub(crate) const DONE: i32 = 7;

const ROLE: &str = "HEIST_TEST_ROLE";
