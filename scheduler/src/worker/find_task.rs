//! Where a worker looks for its next task, and in which order.

use std::sync::Arc;

use super::{
    TIME_BETWEEN_LOOKS, TIME_BETWEEN_LOOKS_FOR_LIGHT_TASKS, TIMERS_AT_ONCE, TURNS_BETWEEN_LOOKS,
    Worker,
};
use crate::panics::{self, Place};
use crate::task::Task;
use crate::wake::policy::Trigger;
use crate::worker::context::WakeSource;
use crate::worker::worker_shared::WorkerShared;

impl Worker {
    /// The next task to run, from where it is cheapest to find.
    pub(super) fn find_task(&mut self) -> Option<Task> {
        self.look_around()
            .or_else(|| self.context.queue.pop_next(&self.own.queue, self.now()))
            .or_else(|| self.pop_express())
            .or_else(|| self.pop())
            .or_else(|| self.take_injected())
            .or_else(|| self.steal())
            .or_else(|| self.search_shards())
    }

    /// Once in a while: the injector and the shards without a listener come first, so that tasks that
    /// are always ready starve neither foreign tasks nor I/O.
    fn look_around(&mut self) -> Option<Task> {
        self.turns_left -= 1;
        if self.turns_left > 0 && self.now() <= self.look_by {
            return None;
        }
        self.turns_left = TURNS_BETWEEN_LOOKS;
        self.poll_uncovered_shards();
        let time = match self.context.queue.is_passed(self.now()) {
            true => TIME_BETWEEN_LOOKS_FOR_LIGHT_TASKS,
            false => TIME_BETWEEN_LOOKS,
        };
        self.look_by = self.now() + time;
        self.take_injected()
    }

    fn take_injected(&self) -> Option<Task> {
        if self.shared.injector.is_empty() {
            return None;
        }
        let limit = self.estimate().share(self.shared.injector.len(), self.shared.workers.len());
        self.context.queue.take_injected(&self.own.queue, &self.shared.injector, limit)
    }

    fn pop_express(&mut self) -> Option<Task> {
        let task = self.context.queue.pop_express(&self.own.queue, self.now())?;
        self.is_express = true;
        Some(task)
    }

    fn pop(&self) -> Option<Task> {
        self.context.queue.pop(&self.own.queue)
    }

    /// Behind a batch of wakers, whose tasks may all be light.
    fn pop_any(&mut self) -> Option<Task> {
        self.pop_express().or_else(|| self.pop())
    }

    /// Takes from another worker: its ready tasks, an aged next slot, or due timers behind a long poll.
    fn steal(&mut self) -> Option<Task> {
        let shared = Arc::clone(&self.shared);
        let (workers, me) = (shared.workers.len(), self.poll.index());
        if workers == 1 {
            return None;
        }
        let start = self.rng.usize(..workers);
        let victims = (start..workers).chain(0..start).filter(|&victim| victim != me);
        for victim in victims.map(|victim| &shared.workers[victim]) {
            if let Some(task) = self.steal_from(victim) {
                return Some(task);
            }
        }
        None
    }

    fn steal_from(&mut self, victim: &WorkerShared) -> Option<Task> {
        let now = self.now();
        if !victim.queue.is_empty() {
            // As much as is worth moving: of a few long polls one, of others up to half.
            let estimate = self.estimate().max(victim.estimate());
            let limit = estimate.share(victim.queue.len(), self.shared.workers.len());
            let before = self.context.queue.len();
            let task = self.context.queue.steal(&self.own.queue, &victim.queue, limit);
            let counters = &self.own.counters;
            match task {
                Some(_) => {
                    counters.steal_hits.add(1);
                    let more = self.context.queue.len().saturating_sub(before);
                    counters.stolen_tasks.add(1 + more as u64);
                }
                None => counters.steal_misses.add(1),
            }
            return task;
        }
        if victim.timers_stuck(now) {
            let fired = victim.timers.advance(now, TIMERS_AT_ONCE, &mut self.wakers);
            self.own.counters.timers_fired.add(fired as u64);
            self.dispatch(WakeSource::Timers);
            return self.pop_any();
        }
        victim.queue.steal_aged_next(now)
    }

    /// A woken worker also polls shards without a listener.
    fn search_shards(&mut self) -> Option<Task> {
        if !self.has_permit {
            return None;
        }
        self.poll_uncovered_shards();
        self.pop_any()
    }

    fn poll_uncovered_shards(&mut self) {
        for shard in 0..self.shared.park.shards() {
            if self.shared.sleep.shard_is_covered(shard) {
                continue;
            }
            self.own.counters.shard_polls.add(1);
            let bound = self.harvest_bound();
            let harvest = self.shared.park.poll(shard, bound, &mut self.wakers);
            self.took(shard, bound, harvest);
            // This worker has not listened there: it passes on a wake that it finds.
            self.has_permit |= self.shared.sleep.take_notification(shard);
            self.dispatch(WakeSource::Events);
        }
    }

    /// Having found work with the wake permit: releases it, and wakes the next worker if more work
    /// waits. Submitters that saw the permit rely on this look.
    pub(super) fn pass_permit_on(&mut self) {
        if !self.has_permit {
            return;
        }
        self.has_permit = false;
        self.own.counters.useful_wakes.add(1);
        let (trigger, shared) = (Trigger::PermitReleased { now: self.now() }, &*self.shared);
        // With a task in hand, which a panic of the `Park` must not drop. It panics in the decision, so
        // the permit is released; what was not decided is taken for a wake.
        let claim = panics::contain(Place::Park, || shared.sleep.pass_permit(trigger, shared));
        shared.wake(claim.unwrap_or_else(|| shared.sleep.claim()));
    }
}
