//! A client with blocking sockets, as a check on the server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use crate::join;

/// Sends `bytes` bytes over a blocking socket, reads as many, and compares.
pub(crate) fn check(address: SocketAddr, bytes: usize) -> io::Result<()> {
    let stream = TcpStream::connect(address)?;
    // Not the same bytes for all, or it would not show if two connections were mixed up.
    let seed = usize::from(stream.local_addr()?.port());
    let sent: Vec<u8> = (seed..seed + bytes).map(|number| (number % 251) as u8).collect();
    let echoed = thread::scope(|scope| {
        // From a thread of its own: the server stops reading from clients that do not read.
        let sending = scope.spawn(|| {
            (&stream).write_all(&sent)?;
            stream.shutdown(Shutdown::Write)
        });
        let mut echoed = Vec::with_capacity(bytes);
        (&stream).read_to_end(&mut echoed)?;
        join(sending).map(|()| echoed)
    })?;
    match echoed == sent {
        true => Ok(()),
        false => Err(io::Error::other(format!("{} of {bytes} bytes came back", echoed.len()))),
    }
}
