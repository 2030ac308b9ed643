//! Whether hyper's part of the connection is to be made anew, and with what buffer.

use std::sync::atomic::Ordering::Relaxed;

use super::{HttpState, NO_TIME, Phase};
use crate::http::hyper_builder::BULK_BUFFER_BYTES;

impl HttpState {
    /// Whether nothing of a request is under way: neither its body nor its answer.
    #[inline]
    pub(in crate::http) fn is_between_requests(&self) -> bool {
        matches!(self.phase(), Phase::Fresh | Phase::Idle | Phase::Head)
            && self.blocked.load(Relaxed) == NO_TIME
            && !self.receiving.load(Relaxed)
            && !self.left_unread()
    }

    /// Whether hyper may be made anew with a large buffer: it waits for a request, and the server's budget is
    /// free for the greater part.
    pub(in crate::http) fn may_begin_bulk(&self) -> bool {
        let budget = self.server().buffered();
        !self.is_bulk()
            && self.is_between_requests()
            && budget.used() + BULK_BUFFER_BYTES <= budget.limit() / BULK_SHARE
    }

    /// Whether hyper has a large buffer, or is to have one.
    pub(in crate::http) fn is_bulk(&self) -> bool {
        self.bulk.load(Relaxed)
    }

    /// hyper is to be made anew with a large buffer, if the budget allows for it. Returns whether it does.
    pub(in crate::http) fn begin_bulk(&self) -> bool {
        let charged = self.server().buffered().try_grow(BULK_BUFFER_BYTES).is_ok();
        if charged {
            self.bulk.store(true, Relaxed);
            self.rebuild.store(true, Relaxed);
        }
        charged
    }

    /// hyper's part is gone, or given up: a large buffer is no longer charged.
    pub(in crate::http) fn end_bulk(&self) {
        if self.bulk.swap(false, Relaxed) {
            self.server().buffered().shrink(BULK_BUFFER_BYTES);
        }
    }

    /// Whether hyper is to be made anew before it is given anything.
    pub(in crate::http) fn wants_rebuild(&self) -> bool {
        self.rebuild.load(Relaxed)
    }

    /// hyper is made anew.
    pub(in crate::http) fn end_rebuild(&self) {
        self.rebuild.store(false, Relaxed);
    }
}

/// Large buffers take one part in so many of the budget: beyond the budget connections are closed, and to read
/// in small pieces is no reason for that.
const BULK_SHARE: usize = 4;
