//! Whether a peer waits for `100 Continue`.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Whether the peer waits for `100 Continue`, until the first byte in answer to the request. A cell that
/// may be shared: Relaxed, as it publishes nothing but itself.
#[derive(Debug)]
pub(super) struct Expectation(AtomicU8);

impl Expectation {
    pub(super) const fn none() -> Expectation {
        Expectation(AtomicU8::new(NONE))
    }

    /// A request came, which may wait for it or does not.
    #[inline]
    pub(super) fn begin(&self, expects: bool) {
        self.0.store(if expects { CONTINUE } else { NONE }, Relaxed);
    }

    /// Whether the peer may wait, and nothing went out yet.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Relaxed) != NONE
    }

    /// The service reads the body. It may run in another task: an answer that has begun meanwhile is left
    /// alone.
    pub(super) fn read(&self) {
        if self.is_open() {
            let _ = self.0.compare_exchange(CONTINUE, READ, Relaxed, Relaxed);
        }
    }

    /// Whether the service has begun to read the body.
    pub(super) fn is_read(&self) -> bool {
        self.0.load(Relaxed) == READ
    }

    /// The first byte in answer to the request goes out.
    pub(super) fn end(&self) {
        self.0.store(NONE, Relaxed);
    }
}

const NONE: u8 = 0;
/// The peer may wait for it before it sends the body.
const CONTINUE: u8 = 1;
/// It may wait, and the service has begun to read the body.
const READ: u8 = 2;
