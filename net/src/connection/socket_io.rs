//! The plain socket under an engine, which drains it itself.

use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll, ready};

use heist_reactor::{Direction, Drain, Source, uninterrupted};

use super::io::ConnectionIo;
use crate::runtime::operation;
use crate::socket::inner::nonzero;
use crate::socket::sys;

/// A plain socket, without the counter of its bytes: the connection counts them.
pub struct SocketIo(Source<sys::Stream>);

impl SocketIo {
    pub(crate) fn new(source: Source<sys::Stream>) -> SocketIo {
        SocketIo(source)
    }

    fn socket(&self) -> &sys::Stream {
        self.0.io()
    }

    /// Out of line: mostly there is nothing more.
    #[cold]
    fn poll_readable_anew(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drain = self.0.poll_drain_exclusive(Direction::Read, cx);
        operation::until_shutdown(drain).map_ok(drop)
    }
}

impl ConnectionIo for SocketIo {
    const COUNTS: bool = false;

    #[inline(always)]
    fn try_read(&mut self, _: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(drain) = self.0.try_drain(Direction::Read) else {
            return Poll::Pending;
        };
        match self.0.io().read(space) {
            Ok(count) => {
                // After the end there is an edge only if something is wrong.
                if count == 0 || count < space.len() && drain.short_read_drains() {
                    drain.drained();
                }
                Poll::Ready(Ok(count))
            }
            Err(error) => nothing_read(error, drain),
        }
    }

    #[inline]
    fn poll_readable<const SAME_TASK: bool>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !SAME_TASK {
            return self.poll_readable_anew(cx);
        }
        match self.0.poll_ready_persistent(Direction::Read, cx) {
            Poll::Pending => Poll::Pending,
            readable => operation::until_shutdown(readable),
        }
    }

    fn has_unread(&self) -> bool {
        matches!(self.socket().peek(&mut [0]), Ok(1..))
    }

    fn has_known_unread(&self) -> bool {
        // A read that stopped early leaves the socket ready, whether more is there or not.
        self.0.try_drain(Direction::Read).is_some_and(|_| self.has_unread())
    }

    fn take_error(&mut self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    #[inline]
    fn try_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        taken(self.socket().write(bytes))
    }

    #[cold]
    fn try_write_last(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        taken(self.socket().write_last(bytes))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let drain = self.0.poll_drain_exclusive(Direction::Write, cx);
            let drain = ready!(operation::until_shutdown(drain))?;
            match uninterrupted(|| self.0.io().write(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => drain.drained(),
                outcome => return Poll::Ready(nonzero(outcome?)),
            }
        }
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket().shutdown(Shutdown::Write))
    }

    fn try_close<const SAME_TASK: bool>(&mut self, _: &mut Context<'_>) -> bool {
        // In a task of its own the socket is about to be dropped. Elsewhere its owner may keep it.
        if !SAME_TASK {
            // A socket that cannot be shut down is broken, and its end is of no interest any more.
            let _ = self.socket().shutdown(Shutdown::Write);
        }
        true
    }
}

/// Interrupted, a read has read nothing, and the next look finds the socket ready still.
#[cold]
fn nothing_read(error: io::Error, drain: Drain<'_>) -> Poll<io::Result<usize>> {
    match error.kind() {
        io::ErrorKind::WouldBlock => drain.drained(),
        io::ErrorKind::Interrupted => {}
        _ => return Poll::Ready(Err(error)),
    }
    Poll::Pending
}

/// What a write without a look at the readiness took: most likely all, as nothing waits to be sent.
/// Only [`poll_write`](ConnectionIo::poll_write) can tell that there is no room, and wait.
#[inline]
fn taken(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Ok(sent) => nonzero(sent),
        Err(error) => nothing_taken(error),
    }
}

#[cold]
fn nothing_taken(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
        _ => Err(error),
    }
}
