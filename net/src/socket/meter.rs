//! Counts of the bytes that pass through sockets, and notes of what polls wait for.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use heist_reactor::Direction;
use heist_scheduler::Handle;
use heist_scheduler::PerWorker;
use heist_scheduler::coop::PollInfo;
use heist_scheduler::metrics::Counter;

use super::pending::PendingDirections;

/// Counts the bytes that are read from and written to many sockets, each worker on cache lines of
/// its own.
///
/// The streams that a [`Server`](crate::Server) accepts have its meter and count themselves.
pub struct Meter {
    bytes: PerWorker<Bytes>,
    /// Whether a task looks at what its polls leave pending. Relaxed: the task itself sets it, before
    /// its first poll.
    watches_polls: AtomicBool,
}

#[derive(Debug, Default)]
struct Bytes {
    read: Counter,
    written: Counter,
    pending: PendingDirections,
}

impl Meter {
    /// A meter for the sockets of `runtime`.
    pub(crate) fn new(runtime: &Handle) -> Meter {
        Meter { bytes: PerWorker::new(runtime), watches_polls: AtomicBool::new(false) }
    }

    /// Bytes that were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes.sum(|bytes| bytes.read.get())
    }

    /// Bytes that were written so far: those that the system has accepted.
    pub fn bytes_written(&self) -> u64 {
        self.bytes.sum(|bytes| bytes.written.get())
    }

    #[inline]
    pub(crate) fn count_read(&self, count: usize) {
        self.bytes.with(|bytes| bytes.read.add(count as u64));
    }

    /// Counts both directions of one info of a task.
    #[inline]
    pub(crate) fn count(&self, info: PollInfo, read: usize, written: usize) {
        self.bytes.at(info, |bytes| {
            bytes.read.add(read as u64);
            bytes.written.add(written as u64);
        });
    }

    #[inline]
    pub(crate) fn count_written(&self, count: usize) {
        self.bytes.with(|bytes| bytes.written.add(count as u64));
    }

    /// From now on the streams note what they leave pending.
    pub(crate) fn watch_polls(&self) {
        if !self.watches_polls.load(Ordering::Relaxed) {
            self.watches_polls.store(true, Ordering::Relaxed);
        }
    }

    /// Forgets what was left pending on this worker.
    pub(crate) fn begin_poll(&self) {
        self.bytes.with(|bytes| bytes.pending.clear());
    }

    /// Notes that the current poll left a direction pending.
    #[inline]
    pub(crate) fn note_pending(&self, direction: Direction) {
        if self.watches_polls.load(Ordering::Relaxed) {
            self.bytes.with(|bytes| bytes.pending.add(direction));
        }
    }

    /// Whether the current poll has left a read pending, and no write.
    pub(crate) fn waits_for_peer(&self) -> bool {
        self.bytes.with(|bytes| bytes.pending.is_read_alone())
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("read", &self.bytes_read())
            .field("written", &self.bytes_written())
            .finish()
    }
}
