//! The close of a connection: a GOAWAY that says why, then patience with a peer that still sends.

use std::io;
use std::task::{Context, Poll, ready};

use heist_scheduler::coop;

use super::super::reason::reason_of;
use super::super::state::HttpState;
use super::monitor::{FrameMonitor, Violation, code};
use super::monitored_io::MonitoredIo;
use crate::Transport;
use crate::connection::close_reason::{CloseKind, CloseReason};
use crate::connection::linger::Linger;

/// A connection that is being closed.
pub(super) struct Closing {
    reason: CloseReason,
    /// What is still to be written.
    goaway: Vec<u8>,
    /// `None` if the peer is not waited for.
    linger: Option<Linger>,
    shut_down: bool,
    /// Whether the peer is known to be sending.
    peer_sends: bool,
}

impl Closing {
    /// hyper has finished. `in_order` is the reason if nothing failed.
    pub(super) fn after<T: Transport>(
        transport: &MonitoredIo<T>,
        state: &HttpState,
        outcome: hyper::Result<()>,
        in_order: CloseReason,
    ) -> Closing {
        let violation = transport.violation();
        let failed = state.failure().close;
        if failed.is_none() && outcome.is_ok() {
            return Closing::new(in_order, None, state);
        }
        let error = outcome.err();
        let kind = failed.unwrap_or_else(|| kind_of(error.as_ref(), &transport.monitor));
        let other = (kind == CloseKind::Http2Flood).then_some(Violation::Other);
        let cause = violation.or(other);
        if let Some(violation) = cause {
            let peer = state.peer();
            tracing::debug!(%peer, %violation, "an HTTP/2 connection is closed");
            state.metrics().count_violation(violation);
        }
        let goaway = violation.and_then(|cause| goaway(&transport.monitor, cause.code()));
        let details = cause.map(Into::into).or(error.map(Into::into));
        let reason = reason_of(kind, details, state.limits());
        let mut closing = Closing::new(reason, goaway, state);
        closing.peer_sends = true;
        if kind == CloseKind::Lost {
            closing.linger = None;
        }
        closing
    }

    /// The connection ends for one of its limits.
    pub(super) fn by<T: Transport>(
        transport: &MonitoredIo<T>,
        state: &HttpState,
        kind: CloseKind,
    ) -> Closing {
        let goaway = goaway(&transport.monitor, code::NO_ERROR);
        let mut closing = Closing::new(reason_of(kind, None, state.limits()), goaway, state);
        // A peer that does not read gets nothing more, and where memory is short there is no patience.
        if matches!(kind, CloseKind::WriteTimeout | CloseKind::TooSlow | CloseKind::Memory) {
            (closing.goaway, closing.linger, closing.shut_down) = (Vec::new(), None, true);
        }
        closing
    }

    fn new(reason: CloseReason, goaway: Option<Vec<u8>>, state: &HttpState) -> Closing {
        let bytes = state.limits().linger_bytes;
        Closing {
            reason,
            goaway: goaway.unwrap_or_default(),
            linger: (bytes > 0).then(|| Linger::new(bytes)),
            shut_down: false,
            peer_sends: false,
        }
    }

    pub(super) fn into_reason(self) -> CloseReason {
        self.reason
    }

    /// Ready when the transport can be dropped.
    pub(super) fn poll<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut MonitoredIo<T>,
    ) -> Poll<()> {
        if !self.shut_down {
            let written = ready!(transport.poll_write_own(cx, &mut self.goaway));
            let shut = match written {
                Ok(()) => ready!(transport.transport.poll_shutdown(cx)),
                Err(error) => Err(error),
            };
            self.shut_down = true;
            if shut.is_err() {
                self.linger = None;
            }
        }
        let Some(linger) = &mut self.linger else { return Poll::Ready(()) };
        let peer_sends = &mut self.peer_sends;
        let polled = linger.poll(|| {
            let discarded = poll_discard(&transport.transport, cx);
            *peer_sends |= matches!(discarded, Poll::Ready(Ok(1..)));
            discarded
        });
        match polled {
            Poll::Pending if !*peer_sends && coop::has_budget_remaining() => Poll::Ready(()),
            polled => polled,
        }
    }
}

/// Reads something and drops it; says how many bytes it was.
fn poll_discard<T: Transport>(transport: &T, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut memory = [0; DISCARDED_READ];
    transport.stream().inner().poll_read(cx, &mut memory)
}

/// A GOAWAY frame (RFC 9113, 6.8), unless hyper has written a part of another frame.
fn goaway(monitor: &FrameMonitor, code: u32) -> Option<Vec<u8>> {
    let mut frame = vec![0, 0, 8, 0x7, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&monitor.last_stream().to_be_bytes());
    frame.extend_from_slice(&code.to_be_bytes());
    monitor.is_between_sent_frames().then_some(frame)
}

/// Why hyper failed.
fn kind_of(error: Option<&hyper::Error>, monitor: &FrameMonitor) -> CloseKind {
    match monitor.goaway() {
        Some(code::ENHANCE_YOUR_CALM) => CloseKind::Http2Flood,
        Some(code) if code != code::NO_ERROR => CloseKind::Protocol,
        _ if error.is_some_and(hyper::Error::is_user) => CloseKind::Cancelled,
        _ => CloseKind::Lost,
    }
}

/// Bytes of a read whose bytes are dropped.
const DISCARDED_READ: usize = 8 * 1024;
