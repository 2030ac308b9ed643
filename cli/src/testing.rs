//! Tests that need a second process: the same binary, running the same test in another part.

use std::env;
use std::process::{Command, Stdio};

/// The part that this process is to play in its test; `None` if it is the one that runs the test.
pub(crate) fn part() -> Option<String> {
    env::var(PART).ok()
}

/// A process that plays `part` in the test called `test`, by its full name.
pub(crate) fn child(test: &str, part: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("a test knows its binary"));
    command.args(["--exact", test, "--nocapture"]).env(PART, part).stdout(Stdio::null());
    command
}

/// Ends this process as one that has played its part. A process that found no test of the name it
/// was given ends with another code.
pub(crate) fn played() -> ! {
    std::process::exit(PLAYED)
}

/// The exit code of a process that has played its part.
pub(crate) const PLAYED: i32 = 7;

const PART: &str = "HEIST_TEST_PART";
