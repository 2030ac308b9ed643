//! What a clock that is moved by hand wakes: the timers of the workers, and those armed elsewhere.
//!
//! The thread that moves the clock fires them itself, so no worker has to be woken for its timers. Each
//! task that a timer wakes is queued as any other, and the sleep protocol finds it a worker. What the
//! protocol does not cover is a timer that is armed while the clock is moved:
//! [`TimerQueue::advance_by_hand`] does.

use std::sync::Arc;
use std::task::Waker;

use super::context::{WakeSource, WorkerContext};
use super::current;
use super::shared::Shared;
use crate::clock::{Instant, Sleepers};
use crate::panics;
use crate::wheel::TimerQueue;

impl Sleepers for Shared {
    fn wake_due(&self, now: Instant) -> usize {
        let mut wakers = Vec::new();
        // One deadline after the other, so that tasks are woken in their order, whichever queue they are
        // filed in.
        while let Some(next) = self.next_timer().filter(|&next| next <= now) {
            self.timer_queues().for_each(|queue| {
                queue.advance(next, usize::MAX, &mut wakers);
            });
        }
        self.timer_queues().for_each(|queue| {
            queue.advance_by_hand(now, &mut wakers);
        });
        let fired = wakers.len();
        self.wake_batch(wakers);
        fired
    }

    fn next_deadline(&self) -> Option<Instant> {
        // What the calling worker has cached was given up by its own tasks, the caller among them.
        if let Some(entry) = self.on_own_worker(|worker| worker.poll.take_cached_timer()).flatten()
        {
            entry.cancel();
        }
        self.timer_queues().for_each(|queue| queue.purge());
        self.next_timer()
    }
}

impl Shared {
    fn timer_queues(&self) -> impl Iterator<Item = &Arc<TimerQueue>> {
        let own = self.workers.iter().map(|worker| &worker.timers);
        own.chain([&self.context.shared_timers])
    }

    fn next_timer(&self) -> Option<Instant> {
        self.timer_queues().filter_map(|queue| queue.next()).min()
    }

    /// Calls the wakers of timers that fired. On a worker of this runtime their tasks go to the end of its
    /// deque, as when it fires timers itself.
    fn wake_batch(&self, wakers: Vec<Waker>) {
        let before = self.set_wake_source(WakeSource::Timers);
        panics::wake_all(wakers);
        let Some(before) = before else { return };
        self.set_wake_source(before);
        if let Some(batch) = self.on_own_worker(WorkerContext::batch) {
            self.notify_if_idle(batch);
        }
    }

    /// Of the current worker, if it is one of these; what it was before.
    fn set_wake_source(&self, wake_source: WakeSource) -> Option<WakeSource> {
        self.on_own_worker(|worker| worker.wake_source.replace(wake_source))
    }

    /// What `look` finds in the current worker, if it is one of these. It runs no foreign code.
    fn on_own_worker<R>(&self, look: impl FnOnce(&WorkerContext) -> R) -> Option<R> {
        let is_own = |worker: &WorkerContext| {
            std::ptr::eq(worker.shared_address(), std::ptr::from_ref(self).cast())
        };
        current::with_worker(|worker| is_own(worker).then(|| look(worker))).flatten()
    }
}
