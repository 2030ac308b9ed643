//! An upgraded connection in the form that tungstenite asks for: reads and writes that do not wait.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use hyper::rt::{self, ReadBuf};
use hyper::upgrade::Upgraded;

/// Where an operation would have to wait, it fails with `WouldBlock`, and the task is woken when it
/// can go on.
pub(super) struct Blocking {
    upgraded: Upgraded,
    /// Of the task that polls.
    waker: Waker,
    /// Bytes received so far.
    received: u64,
}

impl Blocking {
    pub(super) fn new(upgraded: Upgraded) -> Blocking {
        Blocking { upgraded, waker: Waker::noop().clone(), received: 0 }
    }

    /// Has the task of `cx` woken from now on.
    pub(super) fn wake(&mut self, cx: &Context<'_>) {
        self.waker.clone_from(cx.waker());
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Says that nothing more will be sent.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        rt::Write::poll_shutdown(Pin::new(&mut self.upgraded), cx)
    }

    fn block<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut Upgraded>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        match poll(Pin::new(&mut self.upgraded), &mut Context::from_waker(&self.waker)) {
            Poll::Ready(done) => done,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        self.block(|upgraded, cx| rt::Read::poll_read(upgraded, cx, buffer.unfilled()))?;
        let count = buffer.filled().len();
        self.received += count as u64;
        Ok(count)
    }
}

impl Write for Blocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.block(|upgraded, cx| rt::Write::poll_write(upgraded, cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.block(rt::Write::poll_flush)
    }
}
