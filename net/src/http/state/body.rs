//! What is known of the body of the present request.

use std::sync::atomic::Ordering::Relaxed;

use heist_scheduler::time::Instant;

use super::{HttpState, Phase};

impl HttpState {
    /// The body was read to its end at `now`, which may be later than the end of the answer.
    pub(in crate::http) fn body_ended(&self, now: Instant) {
        if self.end_receiving() && self.phase() != Phase::Serving {
            self.since.store(now.as_nanos(), Relaxed);
        }
    }

    /// The body was dropped before its end.
    pub(in crate::http) fn leave_unread(&self) {
        self.end_receiving();
        self.left_unread.store(true, Relaxed);
    }

    /// Returns whether there was a body to receive.
    fn end_receiving(&self) -> bool {
        let receiving = self.receiving.swap(false, Relaxed);
        if receiving && let Some(account) = self.account() {
            account.end_body();
        }
        receiving
    }

    /// The service was given `bytes` of the body.
    pub(in crate::http) fn count_read(&self, bytes: usize) {
        if let Some(account) = self.account() {
            account.count_read(bytes);
        }
    }

    #[inline]
    pub(in crate::http) fn left_unread(&self) -> bool {
        self.left_unread.load(Relaxed)
    }

    /// Whether nothing went out yet in answer to a request that may wait for `100 Continue`.
    #[inline]
    pub(in crate::http) fn expects(&self) -> bool {
        self.expectation.is_open()
    }

    /// The service reads the body.
    pub(in crate::http) fn read_body(&self) {
        self.expectation.read();
    }

    /// Whether a final answer that begins now leaves a body to be read, which the peer may only send
    /// once it is asked: the service reads it already, or has kept it and answers with success.
    pub(in crate::http) fn keeps_body_for_later(&self, is_success: bool) -> bool {
        let reads = self.expectation.is_read();
        self.expects() && self.receiving.load(Relaxed) && (reads || is_success)
    }

    /// Whether it is unknown, after a final answer that is made now, if the body comes: the peer may
    /// wait to be asked for it, and is not.
    #[inline]
    pub(in crate::http) fn leaves_body_unasked(&self, is_success: bool) -> bool {
        let ended = !self.receiving.load(Relaxed) && !self.left_unread();
        self.expects() && !ended && !self.keeps_body_for_later(is_success)
    }

    /// The first byte in answer to the request goes out.
    pub(in crate::http) fn begin_answer(&self) {
        self.expectation.end();
    }
}
