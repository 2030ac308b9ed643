//! The program as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;

/// A running `heist`; killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The line that says what to open.
    pub(crate) greeting: String,
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts it on a port of the system's choice, and waits until it listens.
    pub(crate) fn start(options: &[&str]) -> Program {
        Program::spawn(command().args(["--listen", "127.0.0.1:0"]).args(options))
    }

    /// Starts `command`, and waits until it listens.
    pub(crate) fn spawn(command: &mut Command) -> Program {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        stdout.read_line(&mut greeting).unwrap();
        let program = Program { child, stdout, greeting };
        if program.greeting.is_empty() {
            panic!("heist did not start: {:?}", program.wait());
        }
        program
    }

    /// The first TCP address that it says it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        let (_, rest) = self.greeting.split_once("http://").expect("no URL in the greeting");
        let (address, _) = rest.split_once('/').unwrap();
        address.parse().unwrap()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Outcome {
        let mut outcome = Outcome { code: None, stdout: String::new(), stderr: String::new() };
        self.stdout.read_to_string(&mut outcome.stdout).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut outcome.stderr).unwrap();
        outcome.code = self.child.wait().unwrap().code();
        outcome
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, with an environment that does not depend on who runs the tests.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heist"));
    prepare(&mut command);
    command
}

/// Sets `command` up to be watched.
pub(crate) fn prepare(command: &mut Command) {
    command.env_remove("RUST_LOG").env_remove("HEIST_WORKERS").env_remove("HEIST_SHARDS");
    command.env_remove("HEIST_BLOCKING_THREADS").env_remove("HEIST_BUDGET");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// Runs it to an end that comes by itself.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
