//! Which threads of a runtime still run, and a wait for their end with a deadline; and which threads of
//! users wait in `block_on`.

use std::sync::Arc;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::chunks::Chunks;
use crate::mutant::{self, Mutant};
use crate::sync;
use crate::threads::Parker;

/// The threads that a runtime has started.
#[derive(Default)]
pub(crate) struct ThreadTracker {
    /// Holding this = the right to count threads.
    running: Mutex<Running>,
    left: Condvar,
    handles: Mutex<Vec<JoinHandle<()>>>,
    /// Of those that have begun.
    ids: Mutex<Vec<ThreadId>>,
}

#[derive(Default)]
struct Running {
    /// Those with a guard.
    threads: usize,
    /// Those that run are waited for no more.
    left_behind: bool,
}

/// Counts one thread until it is dropped: as the last thing that the thread does, or where it could not
/// be started.
pub(crate) struct ThreadGuard {
    threads: Arc<ThreadTracker>,
    /// Of the thread, once it has begun.
    id: Option<ThreadId>,
}

impl ThreadTracker {
    /// Counts a thread that is about to be started.
    pub(crate) fn enter(self: &Arc<Self>) -> ThreadGuard {
        self.running.lock().threads += 1;
        ThreadGuard { threads: Arc::clone(self), id: None }
    }

    /// Whether the calling thread is one of them.
    pub(crate) fn contains_current(&self) -> bool {
        self.ids.lock().contains(&thread::current().id())
    }

    /// Whether [`join`](ThreadTracker::join) was called. If not, it sees what the calling thread has done.
    pub(crate) fn are_left_behind(&self) -> bool {
        self.running.lock().left_behind
    }

    /// Remembers a thread, to join it at the end; forgets those that have ended.
    pub(crate) fn keep(&self, handle: JoinHandle<()>) {
        let mut handles = self.handles.lock();
        handles.retain(|handle| !handle.is_finished());
        handles.push(handle);
    }

    /// Waits until every thread has left or `timeout` has passed; true if they have. Wall time: threads are
    /// real.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let mut running = self.running.lock();
        self.left.wait_while_for(&mut running, |running| running.threads > 0, timeout);
        running.threads == 0
    }

    /// Joins the threads that have left, leaves the others behind, and returns how many those are.
    pub(crate) fn join(&self) -> usize {
        let still_running = {
            let mut running = self.running.lock();
            running.left_behind = true;
            running.threads
        };
        for handle in self.handles.lock().drain(..) {
            // With none running each has only its last instructions before it, and the destructors of
            // its thread-locals.
            if still_running == 0 || handle.is_finished() {
                // A panic in a thread hook has been printed by the panic hook.
                let _ = handle.join();
            }
        }
        still_running
    }
}

/// Threads in `block_on`.
#[derive(Default)]
pub(crate) struct BlockedThreads(sync::Mutex<Chunks<Arc<Parker>>>);

/// One of them, until dropped.
pub(crate) struct BlockedThread<'a> {
    threads: &'a BlockedThreads,
    key: usize,
    parker: Arc<Parker>,
}

impl BlockedThreads {
    pub(crate) fn add(&self) -> BlockedThread<'_> {
        let parker = Arc::new(Parker::new());
        let key = self.0.lock().insert(Arc::clone(&parker));
        BlockedThread { threads: self, key, parker }
    }

    /// Has each of them poll once more.
    pub(crate) fn unpark_all(&self) {
        let limit = if mutant::on(Mutant::CoreSaidToOne) { 1 } else { usize::MAX };
        self.0.lock().iter().take(limit).for_each(|(_, parker)| parker.unpark());
    }
}

impl BlockedThread<'_> {
    pub(crate) fn parker(&self) -> &Arc<Parker> {
        &self.parker
    }
}

impl Drop for BlockedThread<'_> {
    fn drop(&mut self) {
        self.threads.0.lock().remove(self.key);
    }
}

impl ThreadGuard {
    /// By the thread, as the first thing that it does.
    pub(crate) fn begin(&mut self) {
        let id = thread::current().id();
        self.id = Some(id);
        self.threads.ids.lock().push(id);
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        if let Some(own) = self.id {
            self.threads.ids.lock().retain(|id| *id != own);
        }
        self.threads.running.lock().threads -= 1;
        self.threads.left.notify_all();
    }
}
