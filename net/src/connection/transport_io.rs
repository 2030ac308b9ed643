//! A transport under an engine, such as TLS.

use std::io;
use std::mem;
use std::task::{Context, Poll, ready};

use heist_scheduler::coop;

use super::budget::{Budget, OverBudget};
use super::io::{ConnectionIo, TransportIo};
use super::transport::Transport;

impl<T: Transport> ConnectionIo for TransportIo<T> {
    const COUNTS: bool = true;

    #[inline]
    fn try_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.shut_down {
            false => self.transport.poll_read(cx, space),
            true => self.transport.stream().inner().poll_read(cx, space),
        }
    }

    #[inline]
    fn poll_readable<const SAME_TASK: bool>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !coop::has_budget_remaining() {
            // A read would be pending, whatever is there. The task goes on in its next poll.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.shut_down {
            false => self.transport.poll_read_ready(cx),
            true => self.transport.stream().inner().poll_read_ready(cx),
        }
    }

    fn has_unread(&self) -> bool {
        self.transport.has_unread()
    }

    fn has_known_unread(&self) -> bool {
        self.transport.has_unread()
    }

    fn take_error(&mut self) -> io::Result<Option<io::Error>> {
        self.transport.stream().socket().take_error()
    }

    fn try_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        match self.poll_write(cx, bytes) {
            Poll::Ready(taken) => taken,
            Poll::Pending => Ok(0),
        }
    }

    fn try_write_last(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(cx, bytes)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.untold == 0 {
            self.untold = ready!(self.transport.poll_write(cx, bytes))?;
        }
        ready!(self.transport.poll_flush(cx))?;
        Poll::Ready(Ok(mem::take(&mut self.untold)))
    }

    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = ready!(self.transport.poll_shutdown(cx));
        self.shut_down = true;
        Poll::Ready(shut)
    }

    fn try_close<const SAME_TASK: bool>(&mut self, cx: &mut Context<'_>) -> bool {
        // The peer is to know that it has everything, also where the drop closes the socket.
        self.transport.poll_shutdown(cx).is_ready()
    }

    fn charge(&mut self, budget: &Budget) -> Result<(), OverBudget> {
        self.charge.set(budget, self.transport.memory())
    }

    fn release(&mut self, budget: &Budget) {
        self.charge.release(budget);
    }
}
