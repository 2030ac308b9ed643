//! A `redis-server` for a test.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::server_process::{Log, ServerProcess};

/// A server of Redis that keeps nothing, on a port of the loopback and on a Unix socket.
#[derive(Debug)]
pub struct Redis {
    // Ended before its directory is removed.
    _process: ServerProcess,
    directory: TempDir,
    address: SocketAddr,
}

impl Redis {
    /// Starts one for `test`; `None`, and a line that says so, where it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(test: &str) -> Option<Redis> {
        if !heist_tests::has_tool(test, "redis-server", "redis-server") {
            return None;
        }
        let started = (0..ATTEMPTS).find_map(|_| Redis::start_on_a_free_port());
        Some(started.expect("redis-server found no free port"))
    }

    /// redis-server cannot have the system choose its port, and another process may take this one first.
    fn start_on_a_free_port() -> Option<Redis> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("the loopback has a free port");
        let directory = TempDir::new().expect("a temporary directory can be made");
        let mut command = Command::new("redis-server");
        command.current_dir(directory.path());
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--unixsocket", "redis.sock", "--save", "", "--appendonly", "no"]);
        let process = ServerProcess::start(command, Log::Output, Signal::TERM);
        process.await_line("Ready to accept connections")?;
        Some(Redis { _process: process, directory, address })
    }

    /// Its address of TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its Unix socket.
    #[must_use]
    pub fn unix_socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }
}

const ATTEMPTS: usize = 16;
