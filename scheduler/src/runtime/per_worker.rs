//! One set of counters for each worker.

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::handle::Handle;
use crate::context;
use crate::coop::PollInfo;

/// A set of counters for each worker of a runtime, on cache lines of its own, and one for all other
/// threads.
///
/// ```
/// use heist::PerWorker;
/// use heist::metrics::Counter;
///
/// let runtime = heist::Builder::new().start()?;
/// let served = PerWorker::<Counter>::new(runtime.handle());
/// served.with(|count| count.add(1));
/// assert_eq!(served.sum(Counter::get), 1);
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Debug)]
pub struct PerWorker<T> {
    runtime: Handle,
    workers: Box<[CachePadded<T>]>,
    /// Holding this = the right to write the counters of the threads that are no workers.
    others: CachePadded<Mutex<T>>,
}

impl<T> PerWorker<T> {
    /// A set for each worker of `runtime`.
    #[must_use]
    pub fn new(runtime: &Handle) -> PerWorker<T>
    where
        T: Default,
    {
        PerWorker {
            runtime: runtime.clone(),
            workers: (0..runtime.workers()).map(|_| CachePadded::default()).collect(),
            others: CachePadded::default(),
        }
    }

    /// Calls `write` with the set that the calling thread may write.
    ///
    /// On a worker of the runtime this takes no lock. `write` must not call this again.
    pub fn with<R>(&self, write: impl FnOnce(&T) -> R) -> R {
        match context::worker_index_in(self.runtime.context()) {
            Some(index) => write(&self.workers[index]),
            None => write(&self.others.lock()),
        }
    }

    /// As [`with`](PerWorker::with), in a poll that knows its [`PollInfo`] already: then this costs next
    /// to nothing.
    ///
    /// The info of another thread, or of an earlier poll, makes the counts inexact and does no other
    /// harm.
    #[inline]
    pub fn at<R>(&self, info: PollInfo, write: impl FnOnce(&T) -> R) -> R {
        let worker = info.worker_of(self.runtime.context());
        let set = worker.and_then(|worker| self.workers.get(worker));
        match set {
            Some(set) => write(set),
            None => self.with(write),
        }
    }

    /// The sum over all threads of what `read` finds; it wraps around.
    pub fn sum(&self, read: impl Fn(&T) -> u64) -> u64 {
        let mut sum = 0_u64;
        self.each(|set| sum = sum.wrapping_add(read(set)));
        sum
    }

    /// Calls `read` with each set: each worker's in the order of their numbers, then that of all other
    /// threads.
    pub fn each(&self, mut read: impl FnMut(&T)) {
        self.workers.iter().for_each(|set| read(set));
        read(&self.others.lock());
    }
}
