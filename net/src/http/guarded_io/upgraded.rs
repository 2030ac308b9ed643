//! The transport after an upgrade: bytes of another protocol, of which nothing is parsed. It may be
//! polled in any task, also outside of the runtime.

use std::io;
use std::task::{Context, Poll, ready};

use heist_scheduler::time::Instant;
use hyper::rt::ReadBufCursor;

use super::GuardedIo;
use crate::Transport;
use crate::connection::close_reason::CloseKind;
use crate::http::failure::Failure;
use crate::http::state::Phase;

impl<T: Transport> GuardedIo<T> {
    /// Whether hyper has seen, or will see, a request that asks for an upgrade.
    pub(in crate::http) fn asks_upgrade(&self) -> bool {
        self.guard.asks_upgrade()
    }

    /// Reads bytes of the other protocol: first those that came behind the request.
    pub(in crate::http) fn poll_read_upgraded(
        &mut self,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.guard.is_undecided() {
            self.guard.upgrade();
        }
        if self.guard.ready().is_empty() && self.guard.end().is_none() {
            let read = self.transport.poll_read_kept(cx, &mut cursor, |read| read.len());
            let (count, _) = ready!(self.or_lost(read))?;
            if count > 0 {
                self.state.touch(self.state.clock_now());
            }
            return Poll::Ready(self.charge_held());
        }
        self.pass_held(&mut cursor);
        Poll::Ready(self.charge_held())
    }

    /// Shuts the sending direction down. The peer may still send.
    pub(in crate::http) fn poll_shutdown_upgraded(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let shut = self.poll_flush_by(|transport| transport.poll_shutdown(cx));
        self.or_lost(shut)
    }

    /// Remembers, for the reason of the end, that an operation of the upgraded transport has failed.
    pub(in crate::http) fn or_lost<R>(&self, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        let failed = matches!(polled, Poll::Ready(Err(_)));
        if failed && self.is_upgraded() && self.state.failure() == Failure::NONE {
            self.state.set_failure(Failure::of_connection(CloseKind::Lost));
        }
        polled
    }

    /// Whether it carries another protocol.
    pub(super) fn is_upgraded(&self) -> bool {
        self.state.phase() == Phase::Upgraded
    }

    /// The time. An upgraded transport may be polled outside of the runtime.
    pub(super) fn now(&self) -> Instant {
        if self.is_upgraded() { self.state.clock_now() } else { Instant::of_poll() }
    }

    /// Whether a read would return something, also such as no event has told of yet.
    pub(in crate::http) fn has_unread(&self) -> bool {
        !self.guard.ready().is_empty() || self.transport.has_unread()
    }
}
