//! A worker becomes idle: the announcement, the last look, and the wait.

use std::sync::Arc;

use super::{TIME_BETWEEN_LOOKS, TURNS_BETWEEN_LOOKS, Turn, Worker};
use crate::clock::Instant;
use crate::task::WakeStamp;
use crate::wake::ParkKind;
use crate::wake::policy::{Action, Trigger, decide, listener_cap};
use crate::worker::context::WakeSource;

impl Worker {
    /// There is nothing to run: announces that it is idle, looks everywhere once more, and waits.
    ///
    /// From the announcement to the end of the wait no foreign code runs: it might wake a task, for
    /// which this worker has looked for the last time.
    pub(super) fn park(&mut self) -> Turn {
        self.end_batch();
        // A cancelled timer must not wake an idle worker, nor keep its task's memory until then. Its
        // waker is dropped, which is foreign code.
        self.context.purge_timers();
        if self.context.has_work() {
            return Turn::Parked;
        }
        if std::mem::take(&mut self.has_permit) {
            self.own.counters.empty_wakes.add(1);
            self.shared.sleep.release_permit();
        }
        let shared = Arc::clone(&self.shared);
        self.park_kind = Some(shared.sleep.announce(self.poll.index(), self.listener_cap()));
        // Behind the fence in `announce`: the work of a submitter that did not see the announcement
        // is seen here.
        let last_look = Trigger::LastLook { worker: self.poll.index(), now: self.now() };
        if decide(last_look, &*shared) == Action::KeepSearching {
            self.tick();
            self.leave();
            return Turn::Parked;
        }
        self.watched = shared.watch_shared_timers();
        let own = self.own.timers.wake_at(self.now());
        let deadline = [own, self.watched].into_iter().flatten().min();
        if shared.all_idle() {
            shared.monitor.on_all_idle();
        }
        self.wait(deadline);
        self.dispatch(WakeSource::Events);
        Turn::Parked
    }

    /// Takes the announcement back, if there is one.
    pub(super) fn leave(&mut self) {
        let Some(park_kind) = self.park_kind.take() else { return };
        self.has_permit |= self.shared.sleep.leave(self.poll.index(), park_kind);
        if let Some(watched) = self.watched.take() {
            self.shared.unwatch_shared_timers(watched);
        }
        self.shared.monitor.on_unpark(self.now());
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        let timeout = deadline.and_then(|deadline| self.runtime.clock.timeout_until(deadline));
        match self.park_kind {
            Some(ParkKind::Listening(shard)) => {
                self.own.counters.listens.add(1);
                let bound = self.harvest_bound();
                let harvest = self.shared.park.listen(shard, bound, timeout, &mut self.wakers);
                self.on_unpark();
                self.took(shard, bound, harvest);
                if self.shared.park.shards() == 1 {
                    // That was the look. Where there are more shards, the others are still to be polled.
                    self.turns_left = TURNS_BETWEEN_LOOKS;
                }
            }
            Some(ParkKind::Parked) => {
                self.own.counters.parks.add(1);
                self.shared.sleep.parker(self.poll.index()).park(timeout);
                self.on_unpark();
            }
            None => unreachable!("a worker announces itself before it waits"),
        }
    }

    /// The wait is over.
    fn on_unpark(&mut self) {
        let now = self.tick();
        self.leave();
        self.look_by = now + TIME_BETWEEN_LOOKS;
        self.own.queue.set_oldest(WakeStamp::at(now));
    }

    fn listener_cap(&self) -> usize {
        let long_poll_mode = self.shared.monitor.in_long_poll_mode(self.now());
        listener_cap(self.estimate(), self.shared.workers.len(), long_poll_mode)
    }
}
