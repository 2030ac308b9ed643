//! The end of a connection in order.

use heist_scheduler::time::Instant;

use crate::connection::close_reason::CloseReason;

/// Whether a connection takes no further streams, and why.
#[derive(Debug, Default)]
pub(super) struct Ending {
    since: Option<Instant>,
    draining: bool,
    /// There was a stream when the drain began, or later.
    had_stream: bool,
}

impl Ending {
    /// The server drains. `busy`: there is a stream.
    pub(super) fn drain(&mut self, now: Instant, busy: bool) {
        self.since.get_or_insert(now);
        (self.draining, self.had_stream) = (true, busy);
    }

    /// The connection is old.
    pub(super) fn age(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Takes notice of streams that were opened before the peer knew.
    pub(super) fn watch(&mut self, busy: bool) {
        self.had_stream |= busy;
    }

    pub(super) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// When it began.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Why a connection ended that ended in order.
    pub(super) fn reason(&self) -> CloseReason {
        match (self.draining, self.had_stream) {
            (true, true) => CloseReason::Drained,
            (true, false) => CloseReason::IdleDrained,
            (false, _) => CloseReason::Finished,
        }
    }
}
