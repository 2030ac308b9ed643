//! The WebSocket over a stream that is no socket, so each blocked write is exact.

use super::*;
use std::task::Waker;

/// Sends pings without end, and takes nothing.
struct Flood {
    read: usize,
}

impl ByteStream for Flood {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.read >= MOST {
            return Poll::Pending;
        }
        // The pings are whole where the reads are.
        let count = buffer.len() / PING.len() * PING.len();
        let pings = PING.iter().cycle();
        buffer[..count].iter_mut().zip(pings).for_each(|(byte, ping)| *byte = *ping);
        self.read += count;
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

/// Failure: a peer that sends pings and takes no pong has the pongs pile up without end.
#[test]
fn pings_are_not_read_while_a_pong_waits() {
    let limits = Limits::default();
    let adapter = Adapter::new(Flood { read: 0 }, limits.received());
    let role = tungstenite::protocol::Role::Server;
    let inner = tungstenite::WebSocket::from_raw_socket(adapter, role, Some(limits.config()));
    let mut socket = WebSocket::new(inner, limits);
    assert!(socket.poll_read(&mut Context::from_waker(Waker::noop())).is_pending());
    let read = socket.inner.get_ref().stream().read;
    assert!(read < MOST, "read {read} bytes of pings");
}

/// Empty, with a mask.
const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];

const MOST: usize = 1024 * 1024;
