//! A `nats-server` for a test.

use std::process::Command;

use rustix::process::Signal;

use crate::server_process::{Log, ServerProcess};

/// A server of NATS on a port of the loopback that the system has chosen.
#[derive(Debug)]
pub struct Nats {
    _process: ServerProcess,
    address: String,
}

impl Nats {
    /// Starts one for `test`; `None`, and a line that says so, where it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(test: &str) -> Option<Nats> {
        if !heist_tests::has_tool(test, "nats-server", "nats-server") {
            return None;
        }
        let mut command = Command::new("nats-server");
        command.args(["--addr", "127.0.0.1", "--port", "-1"]);
        let process = ServerProcess::start(command, Log::Error, Signal::TERM);
        let line = process.await_line("Listening for client connections on ");
        let line = line.expect("nats-server ended before it listened");
        let address = line.rsplit(' ').next().expect("a line has a last word").to_owned();
        process.await_line("Server is ready").expect("nats-server ended before it was ready");
        Some(Nats { _process: process, address })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}
