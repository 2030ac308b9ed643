//! A connection to the server: plain, or TLS by rustls.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use crate::target::Target;

/// A socket that reads without waiting, and the TLS session on it.
pub(crate) struct Connection {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// Whether more can come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Open,
    Closed,
}

impl Connection {
    /// Connects. Under TLS the handshake begins with the first write.
    pub(crate) fn open(target: &Target) -> io::Result<Connection> {
        let socket = target.connect()?;
        socket.set_nonblocking(true)?;
        let session = |config: &Arc<ClientConfig>| {
            let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
            let session = ClientConnection::new(config.clone(), name);
            session.map(Box::new).map_err(io::Error::other)
        };
        Ok(Connection { socket, tls: target.wire.tls.as_ref().map(session).transpose()? })
    }

    /// Sends it; bytes of the application wait for the end of the handshake.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.write_all(bytes),
            Some(tls) => {
                tls.writer().write_all(bytes)?;
                flush(tls, &self.socket)
            }
        }
    }

    /// Gives `take` what there is to read: one read of the socket.
    pub(crate) fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<Peer> {
        let mut buffer = [0; 4096];
        let count = match &mut self.tls {
            None => self.socket.read(&mut buffer),
            Some(tls) => tls.read_tls(&mut self.socket),
        };
        match count {
            Ok(0) => return Ok(Peer::Closed),
            Ok(count) if self.tls.is_none() => take(&buffer[..count]),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Peer::Open),
            Err(error) => return Err(error),
        }
        let Some(tls) = &mut self.tls else { return Ok(Peer::Open) };
        tls.process_new_packets().map_err(io::Error::other)?;
        flush(tls, &self.socket)?;
        loop {
            match tls.reader().read(&mut buffer) {
                Ok(0) => return Ok(Peer::Closed),
                Ok(count) => take(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Peer::Open),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the handshake took up an earlier session.
    pub(crate) fn is_resumed(&self) -> bool {
        let kind = self.tls.as_ref().and_then(|tls| tls.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }

    /// Whether reads and writes wait.
    pub(crate) fn set_blocking(&self, blocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(!blocking)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends what the session has for the server.
fn flush(tls: &mut ClientConnection, mut socket: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(&mut socket)?;
    }
    Ok(())
}
