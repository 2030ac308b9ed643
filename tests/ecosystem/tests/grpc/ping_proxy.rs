//! A proxy that sees the PINGs of a client.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Between one client and a server, which speak HTTP/2 without TLS.
pub struct PingProxy {
    address: SocketAddr,
}

impl PingProxy {
    /// Calls `on_ping` for each PING of the client, before `server` gets it.
    pub fn start(server: SocketAddr, on_ping: impl FnMut() + Send + 'static) -> PingProxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = TcpStream::connect(server).unwrap();
            let mut back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = io::copy(&mut back.0, &mut back.1);
                let _ = back.1.shutdown(Shutdown::Write);
            });
            let _ = forward(client, &server, on_ping);
            let _ = server.shutdown(Shutdown::Write);
        });
        PingProxy { address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Passes on the preface, and then each frame as a whole.
fn forward(mut from: TcpStream, mut to: &TcpStream, mut on_ping: impl FnMut()) -> io::Result<()> {
    let mut preface = [0; 24];
    from.read_exact(&mut preface)?;
    to.write_all(&preface)?;
    loop {
        let mut frame = vec![0; HEADER];
        from.read_exact(&mut frame)?;
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize;
        let is_ping = frame[3] == PING && frame[4] & ACK == 0;
        frame.resize(HEADER + length, 0);
        from.read_exact(&mut frame[HEADER..])?;
        if is_ping {
            on_ping();
        }
        to.write_all(&frame)?;
    }
}

/// RFC 9113, 4.1.
const HEADER: usize = 9;

/// RFC 9113, 6.7.
const PING: u8 = 6;
const ACK: u8 = 1;
