//! A client of `chat`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::program::Program;

pub(crate) struct Guest {
    pub(crate) stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Guest {
    /// Connects, and waits until it is in the lobby.
    pub(crate) fn connect(program: &Program) -> Guest {
        Guest::greeted(program.connect())
    }

    /// One with so small a buffer that it is soon full.
    pub(crate) fn connect_small(program: &Program) -> Guest {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&program.address.into()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Guest::greeted(socket.into())
    }

    fn greeted(stream: TcpStream) -> Guest {
        // A small buffer: thousands of these live at once.
        let lines = BufReader::with_capacity(2048, stream.try_clone().unwrap());
        let mut guest = Guest { stream, lines };
        assert!(guest.line().starts_with("Welcome, guest"));
        assert!(guest.line().starts_with("You are in lobby"));
        guest
    }

    /// As `name`, with all that is said about that read.
    pub(crate) fn connect_as(program: &Program, name: &str) -> Guest {
        let mut guest = Guest::connect(program);
        guest.send(&format!("/name {name}"));
        guest.line_after(&format!("is now {name}"));
        guest
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.is_empty() || line.ends_with('\n'), "cut off: {line:?}");
        line.trim_end().to_owned()
    }

    /// The next line that a guest said or that answers; arrivals and departures are skipped.
    pub(crate) fn said(&mut self) -> String {
        loop {
            let line = self.line();
            if !line.starts_with("* ") {
                return line;
            }
        }
    }

    /// Reads up to the line that ends in `end`.
    pub(crate) fn line_after(&mut self, end: &str) {
        while !self.line().ends_with(end) {}
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.said()
    }
}

/// Long enough to mean that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
