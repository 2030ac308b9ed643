//! An example as a child process.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wait4::Wait4;

/// What an example left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What it used of the CPU, in the kernel and out of it.
    pub(crate) cpu_time: Duration,
}

/// Runs the example `name` to an end that comes by itself.
pub(crate) fn run(name: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Outcome {
    finish(command(name).args(arguments).spawn().unwrap())
}

/// Waits for the end of `child`, and for all that it prints.
pub(crate) fn finish(mut child: Child) -> Outcome {
    // Read both at once: a child that fills one pipe while the other is being read would hang.
    let stdout = child.stdout.take().unwrap();
    let stderr = child.stderr.take().unwrap();
    let (stdout, stderr) = std::thread::scope(|scope| {
        let stdout = scope.spawn(|| std::io::read_to_string(stdout).unwrap());
        let stderr = std::io::read_to_string(stderr).unwrap();
        (stdout.join().unwrap(), stderr)
    });
    let end = child.wait4().unwrap();
    let cpu_time = end.rusage.utime + end.rusage.stime;
    Outcome { code: end.status.code(), stdout, stderr, cpu_time }
}

/// The binary, with an environment that does not depend on the user that runs the tests.
///
/// `cargo test` builds the examples, beside the folder of the test binaries. `cargo test --test …`
/// does not: it runs those that were built last.
pub(crate) fn command(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let example: PathBuf = [profile, "examples".as_ref(), name.as_ref()].iter().collect();
    assert!(example.exists(), "{} is not built: cargo build --examples", example.display());
    let mut command = Command::new(example);
    for variable in ["RUST_LOG", "HEIST_WORKERS", "HEIST_SHARDS", "HEIST_BUDGET"] {
        command.env_remove(variable);
    }
    command.env_remove("HEIST_BLOCKING_THREADS");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
