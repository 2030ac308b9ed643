//! Which of the futures of a task are to be polled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use parking_lot::Mutex;

/// The futures of one task that were woken, in order.
///
/// Each has a waker of its own. It puts the future into the queue, and wakes the task unless that is
/// being polled: then the task finds it before it returns.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    /// Holding this is the right to change the queue. No waker is cloned, called or dropped under it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By their keys.
    ready: VecDeque<usize>,
    /// The task to wake. `None` while it is polled, and once it was woken.
    task: Option<Waker>,
}

/// The waker of one future.
#[derive(Debug)]
pub(super) struct FutureWaker {
    key: usize,
    queue: Arc<ReadyQueue>,
    /// It is in the queue. AcqRel: what happened before a wake that finds it set is seen by the poll
    /// that clears it.
    queued: AtomicBool,
}

impl ReadyQueue {
    /// The waker of a future that is in the queue from the beginning.
    pub(super) fn register(self: &Arc<ReadyQueue>, key: usize) -> Arc<FutureWaker> {
        let queue = Arc::clone(self);
        let waker = Arc::new(FutureWaker { key, queue, queued: AtomicBool::new(false) });
        waker.wake_by_key();
        waker
    }

    /// The task is polled from now on.
    pub(super) fn begin_poll(&self) {
        let task = self.state.lock().task.take();
        drop(task);
    }

    /// The key of the next future that is to be polled. Before that poll,
    /// [`begin_poll`](FutureWaker::begin_poll) is called.
    pub(super) fn pop(&self) -> Option<usize> {
        self.state.lock().ready.pop_front()
    }

    /// The poll of the task ends. Wakes it at once if futures were woken meanwhile, or are `deferred` to
    /// its next poll.
    pub(super) fn end_poll(&self, deferred: &mut Vec<usize>, task: &Waker) {
        let task = task.clone();
        let mut state = self.state.lock();
        state.ready.extend(deferred.drain(..));
        if state.ready.is_empty() {
            state.task = Some(task);
            return;
        }
        drop(state);
        task.wake();
    }
}

impl FutureWaker {
    /// The future is polled. If it is woken from now on, it is polled again.
    pub(super) fn begin_poll(&self) {
        self.queued.swap(false, Ordering::AcqRel);
    }

    /// Puts the future into the queue, unless it is there.
    pub(super) fn wake_by_key(&self) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut state = self.queue.state.lock();
        state.ready.push_back(self.key);
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Wake for FutureWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_by_key();
    }
}
