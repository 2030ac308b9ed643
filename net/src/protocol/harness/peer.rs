//! A made-up peer.

use std::io;
use std::mem;
use std::task::Poll;

use crate::protocol::engine::Io;

/// The peer of a [`TestHarness`](super::TestHarness), and the network in between.
#[derive(Debug)]
pub(super) struct Peer {
    /// What the peer has sent and the connection has not read.
    sent: Vec<u8>,
    /// The peer sends no more.
    closed: bool,
    /// The connection has read the end, and waits for an error at most.
    end_read: bool,
    reset: bool,
    /// What the peer has read.
    received: Vec<u8>,
    /// How many bytes of output are still taken.
    room: usize,
    /// The peer does not close its side when it reads the end.
    stays_open: bool,
}

impl Peer {
    pub(super) fn new() -> Peer {
        Peer {
            sent: Vec::new(),
            closed: false,
            end_read: false,
            reset: false,
            received: Vec::new(),
            room: usize::MAX,
            stays_open: false,
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        if !self.closed && !self.reset {
            self.sent.extend_from_slice(bytes);
        }
    }

    pub(super) fn finish_sending(&mut self) {
        self.closed = true;
    }

    pub(super) fn reset(&mut self) {
        self.reset = true;
        self.sent = Vec::new();
    }

    pub(super) fn set_room(&mut self, room: usize) {
        self.room = room;
    }

    pub(super) fn stay_open(&mut self) {
        self.stays_open = true;
    }

    pub(super) fn take_received(&mut self) -> Vec<u8> {
        mem::take(&mut self.received)
    }

    fn check_reset(&self) -> io::Result<()> {
        match self.reset {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }

    fn is_readable(&self) -> bool {
        !self.sent.is_empty() || self.reset || self.closed && !self.end_read
    }
}

impl Io for Peer {
    fn try_read(&mut self, space: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.is_readable() {
            return Poll::Pending;
        }
        self.check_reset()?;
        let count = self.sent.len().min(space.len());
        space[..count].copy_from_slice(&self.sent[..count]);
        self.sent.drain(..count);
        self.end_read = count == 0;
        Poll::Ready(Ok(count))
    }

    fn poll_readable(&mut self) -> Poll<io::Result<()>> {
        if self.is_readable() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn has_unread(&self) -> bool {
        !self.sent.is_empty()
    }

    fn has_known_unread(&self) -> bool {
        self.has_unread()
    }

    fn take_error(&mut self) -> io::Result<Option<io::Error>> {
        Ok(self.check_reset().err())
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check_reset()?;
        let count = bytes.len().min(self.room);
        if self.room < usize::MAX {
            self.room -= count;
        }
        self.received.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn try_write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }

    fn poll_write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.try_write(bytes) {
            Ok(0) => Poll::Pending,
            outcome => Poll::Ready(outcome),
        }
    }

    fn poll_shut_down(&mut self) -> Poll<io::Result<()>> {
        self.check_reset()?;
        // It has read all of the output by then, and the end comes behind it.
        self.closed |= !self.stays_open;
        Poll::Ready(Ok(()))
    }

    fn try_close(&mut self) -> bool {
        true
    }
}
