//! A layer for tests: it masks each byte, reads ahead, and takes bytes before it sends them.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use heist_net::server::{CloseReason, Peer, TransportLayer};
use heist_net::{Stream, Transport};

/// Waits for one byte of the peer: [`HELLO`] begins the service, [`PANIC`] panics, others are refused.
pub(crate) struct Masking;

/// Masks a byte, or unmasks it.
pub(crate) fn masked(byte: u8) -> u8 {
    byte ^ 0x55
}

pub(crate) const HELLO: u8 = b'H';
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) const PANIC: u8 = b'P';

impl TransportLayer for Masking {
    type Transport = Masked;

    fn accept(
        &self,
        mut stream: Stream,
        _peer: &Peer,
    ) -> impl Future<Output = Result<Masked, CloseReason>> + Send + 'static + use<> {
        async move {
            let mut hello = [0];
            stream.read_exact(&mut hello).await?;
            assert_ne!(hello[0], PANIC, "as asked");
            match hello[0] {
                HELLO => Ok(Masked { stream, input: VecDeque::new(), output: Vec::new() }),
                _ => Err(CloseReason::Handshake("no hello".into())),
            }
        }
    }
}

pub(crate) struct Masked {
    stream: Stream,
    /// Unmasked.
    input: VecDeque<u8>,
    /// Masked.
    output: Vec<u8>,
}

impl Transport for Masked {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.input.is_empty() && !buffer.is_empty() {
            let mut bytes = [0; 1000];
            let count = ready!(Transport::poll_read(&mut self.stream, cx, &mut bytes))?;
            self.input.extend(bytes[..count].iter().copied().map(masked));
        }
        Poll::Ready(io::Read::read(&mut self.input, buffer))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.output.len() >= MOST_OUTPUT {
            ready!(self.poll_flush(cx))?;
        }
        let room = MOST_OUTPUT - self.output.len();
        let bytes = buffers.iter().flat_map(|buffer| buffer.iter());
        let before = self.output.len();
        self.output.extend(bytes.take(room).copied().map(masked));
        Poll::Ready(Ok(self.output.len() - before))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let count = ready!(Transport::poll_write(&mut self.stream, cx, &self.output))?;
            self.output.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Transport::poll_shutdown(&mut self.stream, cx)
    }

    fn stream(&self) -> &Stream {
        &self.stream
    }

    fn has_buffered_input(&self) -> bool {
        !self.input.is_empty()
    }

    fn unsent(&self) -> usize {
        self.output.len()
    }

    fn memory(&self) -> usize {
        self.input.len() + self.output.len()
    }
}

/// It takes no more before it has sent something.
const MOST_OUTPUT: usize = 10_000;
