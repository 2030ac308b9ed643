//! What stands in for a scheduler: a waker that runs what it wakes, at once, on the thread that had
//! the event.
//!
//! A waker may be called once too often, by two threads at a time, or by the task that it wakes: a
//! task that leaves a waker with a source looks once more, and if it then finds an event it takes
//! the waker back by calling it. So a task counts its calls. The first caller runs it, and runs it
//! again if more calls came meanwhile; the others only count. No thread waits for another.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use heist::reactor::Closed;

use crate::eprint;

/// Something that owns sources and goes as far as it can whenever it is called.
pub(crate) trait Job: Send + 'static {
    /// Pending if a waker is left with a source; ready if this was the end.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A job, and the right to run it. While it waits, its wakers own it.
struct Task<J> {
    /// Calls not answered yet. Adding the first = the right to run the job.
    calls: AtomicUsize,
    /// `None` after the end. Never contended: taken only with the right to run.
    job: Mutex<Option<J>>,
}

/// Runs `job` for the first time. From there on the events of its sources do.
pub(crate) fn start(job: impl Job) {
    Arc::new(Task { calls: AtomicUsize::new(0), job: Mutex::new(Some(job)) }).wake();
}

impl<J: Job> Wake for Task<J> {
    fn wake(self: Arc<Self>) {
        // Release pairs with the Acquire of the thread that runs the job: its next turn sees the
        // event of this call. Acquire pairs with the Release of the thread that ran it last.
        if self.calls.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let mut answered = 1;
        loop {
            self.run();
            // Acquire pairs with the Release of the calls that came meanwhile; Release, see above.
            let calls = self.calls.fetch_sub(answered, Ordering::AcqRel);
            if calls == answered {
                return;
            }
            answered = calls - answered;
        }
    }
}

impl<J: Job> Task<J> {
    fn run(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        // Called once too often after the end.
        let Some(running) = job.as_mut() else { return };
        let Poll::Ready(end) = running.advance(&mut Context::from_waker(&waker)) else { return };
        *job = None;
        report(end);
    }
}

/// An error ends its job alone. The close of the queue ends all of them, and is no error.
fn report(end: io::Result<()>) {
    match end {
        Err(error) if !error.get_ref().is_some_and(|inner| inner.is::<Closed>()) => {
            eprint(&error);
        }
        _ => {}
    }
}
