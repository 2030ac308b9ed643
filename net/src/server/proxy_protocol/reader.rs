//! Taking a PROXY header off a socket.

use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use super::header::{Frame, ProxyHeaderError, frame, parse};
use crate::connection::close_reason::CloseReason;
use crate::socket::stream::Stream;

/// Reads the PROXY header of one connection, and no byte behind it: what follows stays in the socket,
/// so the transport needs no buffer for it.
///
/// It looks at the bytes that are there, and reads those of the header. Part of a header is read, too,
/// as an edge-triggered socket tells only of bytes that come later.
#[derive(Debug, Default)]
pub(super) struct HeaderReader {
    /// What was read of the header.
    header: Vec<u8>,
    /// How many bytes at the front of the socket belong to it, if that is known: looking and reading
    /// may be operations of two polls.
    ahead: usize,
    /// Whether they are its last.
    last: bool,
}

impl HeaderReader {
    /// Reads the header; returns the client that it tells of, if any.
    ///
    /// Not to be polled again once it is ready.
    ///
    /// # Errors
    ///
    /// [`CloseReason::Handshake`] with a [`ProxyHeaderError`], and errors of the socket.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<Result<Option<SocketAddr>, CloseReason>> {
        let mut buffer = [0; AHEAD];
        loop {
            if self.ahead == 0 {
                let count = ready!(stream.inner().poll_peek(cx, &mut buffer))?;
                self.find_end(&buffer[..count]).map_err(refused)?;
            }
            let count = ready!(stream.poll_read(cx, &mut buffer[..self.ahead]))?;
            self.header.extend_from_slice(&buffer[..count]);
            self.ahead -= count;
            if self.ahead == 0 && self.last {
                return Poll::Ready(parse(&self.header).map_err(refused));
            }
        }
    }

    /// Finds how many of the next bytes belong to the header.
    fn find_end(&mut self, next: &[u8]) -> Result<(), ProxyHeaderError> {
        if next.is_empty() {
            return Err(ProxyHeaderError::Ended);
        }
        let before = self.header.len();
        self.header.extend_from_slice(next);
        let framed = frame(&self.header);
        self.header.truncate(before);
        (self.ahead, self.last) = match framed? {
            Frame::Partial => (next.len(), false),
            Frame::Complete(length) => (length - before, true),
        };
        Ok(())
    }
}

fn refused(error: ProxyHeaderError) -> CloseReason {
    CloseReason::Handshake(Box::new(error))
}

/// How many bytes are looked at at once. A header of version 1, and one of version 2 that has no
/// certificate in it, is shorter.
const AHEAD: usize = 256;

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
