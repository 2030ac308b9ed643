//! The pages of `docs/guide`. Each program in them is a test of the documentation of this crate, with all
//! crates of this workspace. Lines that begin with `# ` are hidden in the book. A program that serves for
//! ever, at a port of its own, is ended by two of them:
//!
//! ```text
//! let address = "127.0.0.1:7000".parse()?;
//! # let address = heist_ecosystem::guide::any_port(address);
//! let listener = Listener::tcp(address)?;
//! # heist_ecosystem::guide::visit(&listener, "hello\n", "hello\n");
//! ```

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process;
use std::thread;
use std::time::Duration;

use heist::server::{Address, Listener};

/// `address` with a port that the system chooses.
#[must_use]
pub fn any_port(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), 0)
}

/// Connects to `listener` from a thread, sends `request`, and reads until `answer` has come. Then the
/// process ends: with success, or with the reason if the peer answers otherwise.
///
/// # Panics
///
/// If `listener` is not one of TCP.
pub fn visit(listener: &Listener, request: &'static str, answer: &'static str) {
    let Address::Tcp(address) = listener.address().clone() else {
        panic!("the program listens on TCP");
    };
    thread::spawn(move || match talk(address, request, answer) {
        Ok(()) => process::exit(0),
        Err(error) => {
            eprintln!("the visit of {address}: {error}");
            process::exit(1)
        }
    });
}

fn talk(address: SocketAddr, request: &str, answer: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(GUARD))?;
    stream.write_all(request.as_bytes())?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&received).contains(answer) {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::Error::other(String::from_utf8_lossy(&received))),
            count => received.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(())
}

/// A guard against a hang.
const GUARD: Duration = Duration::from_secs(60);

/// One item for each page, in the order of `SUMMARY.md`.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/guide/src/first-server.md")]
    pub struct FirstServer;

    #[doc = include_str!("../../../docs/guide/src/ecosystem.md")]
    pub struct Ecosystem;
}
