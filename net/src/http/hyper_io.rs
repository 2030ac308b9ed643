//! What hyper reads and writes: the guarded transport, its own or shared with the connection's task.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

use super::guarded_io::GuardedIo;
use super::shared_io::SharedIo;
use super::state::{HttpState, Phase};
use crate::Transport;

/// The transport as hyper has it.
///
/// hyper owns it until a request asks for an upgrade. hyper may give such a connection to the service,
/// at the end of any answer to it, so from then on the transport is [shared](SharedIo) with the
/// connection's task, which ends it in order, or by force.
#[expect(clippy::large_enum_variant, reason = "the large one is what nearly all connections have")]
pub(super) enum HyperIo<T: Transport> {
    Own(GuardedIo<T>),
    Shared(SharedIo<T>),
}

impl<T: Transport> HyperIo<T> {
    pub(super) fn new(io: GuardedIo<T>) -> HyperIo<T> {
        HyperIo::Own(io)
    }

    /// Closes an idle connection, which is dropped next.
    pub(super) fn close(mut self, cx: &mut Context<'_>) {
        match &mut self {
            HyperIo::Own(io) => io.close(cx),
            HyperIo::Shared(io) => {
                let _ = io.poll_write(cx, |io, cx| {
                    io.close(cx);
                    Poll::Ready(Ok(()))
                });
            }
        }
    }

    /// Has `change` done to the transport, where the connection still has it.
    pub(super) fn apply(&mut self, cx: &mut Context<'_>, change: impl FnOnce(&mut GuardedIo<T>)) {
        match self {
            HyperIo::Own(io) => change(io),
            HyperIo::Shared(io) => {
                let _ = io.poll_write(cx, |io, _| {
                    change(io);
                    Poll::Ready(Ok(()))
                });
            }
        }
    }

    /// Shares the transport with the connection's task.
    #[cold]
    fn share(&mut self, state: &Arc<HttpState>) {
        let (shared, place) = SharedIo::new();
        if let HyperIo::Own(io) = mem::replace(self, HyperIo::Shared(shared)) {
            place.fill(io);
        }
        state.upgrade().share(place);
    }
}

impl<T: Transport> Read for HyperIo<T> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            HyperIo::Own(io) => {
                let read = Pin::new(&mut *io).poll_read(cx, cursor);
                if io.asks_upgrade() {
                    let state = Arc::clone(io.state());
                    self.share(&state);
                }
                read
            }
            HyperIo::Shared(io) => io.poll_read(cx, |io, cx| match io.state().phase() {
                Phase::Upgraded => io.poll_read_upgraded(cx, cursor),
                _ => Pin::new(io).poll_read(cx, cursor),
            }),
        }
    }
}

impl<T: Transport> Write for HyperIo<T> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            HyperIo::Own(io) => Pin::new(io).poll_flush(cx),
            HyperIo::Shared(io) => io.poll_write(cx, |io, cx| {
                let flushed = Pin::new(&mut *io).poll_flush(cx);
                io.or_lost(flushed)
            }),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            HyperIo::Own(io) => Pin::new(io).poll_shutdown(cx),
            HyperIo::Shared(io) => io.poll_write(cx, |io, cx| match io.state().phase() {
                Phase::Upgraded => io.poll_shutdown_upgraded(cx),
                _ => Pin::new(io).poll_shutdown(cx),
            }),
        }
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            HyperIo::Own(io) => Pin::new(io).poll_write_vectored(cx, buffers),
            HyperIo::Shared(io) => io.poll_write(cx, |io, cx| {
                let written = Pin::new(&mut *io).poll_write_vectored(cx, buffers);
                io.or_lost(written)
            }),
        }
    }
}
