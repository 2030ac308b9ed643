//! An example as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A running example; killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts `name` on a port of the system's choice, and waits until it listens.
    pub(crate) fn start(name: &str, options: &[&str]) -> Program {
        let mut child =
            command(name).args(["--listen", "127.0.0.1:0"]).args(options).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        stdout.read_line(&mut greeting).unwrap();
        if greeting.is_empty() {
            let mut reason = String::new();
            let _ = stderr.read_to_string(&mut reason);
            panic!("{name} did not start: {reason}");
        }
        let (_, rest) = greeting.split_once("serving on ").expect("no address in the greeting");
        let (address, _) = rest.split_once(';').expect("no hint behind the address");
        Program { child, stderr, address: address.parse().unwrap() }
    }

    pub(crate) fn port(&self) -> String {
        self.address.port().to_string()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Memory in use, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Memory that was asked for, used or not, in bytes.
    pub(crate) fn allocated(&self) -> u64 {
        self.status("VmData:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Waits until it has ended by itself, and returns its exit code and what it said at the end.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let mut words = String::new();
        self.stderr.read_to_string(&mut words).unwrap();
        (self.child.wait().unwrap().code(), words)
    }

    /// Ends it, and returns what it complained of: panics, for instance.
    pub(crate) fn end(mut self) -> String {
        let _ = self.child.kill();
        let mut complaints = String::new();
        self.stderr.read_to_string(&mut complaints).unwrap();
        complaints
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example, with an environment that does not depend on the user that runs the tests.
pub(crate) fn command(name: &str) -> Command {
    let path = path(name);
    assert!(path.exists(), "no {}: run `cargo build --examples` before this test", path.display());
    let mut command = Command::new(path);
    command.env_remove("HEIST_WORKERS").env_remove("HEIST_SHARDS").env_remove("HEIST_BUDGET");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Cargo puts examples beside the directory that this test is in.
fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name)
}

/// Asserts that the example refuses these options with one line and exit code 2.
#[track_caller]
pub(crate) fn assert_refused(name: &str, options: &[&str], words: &[&str]) {
    let outcome = command(name).args(options).output().unwrap();
    let complaint = text(&outcome.stderr);
    assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
    assert_eq!(complaint.lines().count(), 1, "{outcome:?}");
    assert!(words.iter().all(|word| complaint.contains(word)), "{complaint}");
}

/// Runs another program to its end, and returns what it printed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let outcome: Output = command.stdin(Stdio::null()).output().unwrap();
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(text(&outcome.stderr), "", "{outcome:?}");
    text(&outcome.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Long enough to mean that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
