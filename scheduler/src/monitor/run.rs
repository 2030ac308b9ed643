//! The monitor's looks, and the loop that its thread runs.

use std::sync::Arc;
use std::time::Duration;

use super::codel::CoDel;
use super::detector::{Finding, LongPollDetector};
use super::shared::{PERIOD_MAX, PERIOD_MIN};
use super::workers::Workers;
use crate::clock::Instant;
use crate::panics::{self, Place};
use crate::wake::policy::Trigger;

pub(crate) struct Monitor<W> {
    workers: Arc<W>,
    period: Duration,
    codel: CoDel,
    probed_at: Instant,
    detector: LongPollDetector,
    /// How many looks in a row found that nothing runs.
    looks_at_rest: u32,
}

/// What the monitor does after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    LookAgainIn(Duration),
    /// Nothing runs.
    Doze,
}

impl<W: Workers> Monitor<W> {
    pub(crate) fn new(workers: Arc<W>, codel: CoDel) -> Self {
        Monitor {
            detector: LongPollDetector::new(workers.count()),
            workers,
            period: PERIOD_MAX,
            codel,
            probed_at: Instant::ZERO,
            looks_at_rest: 0,
        }
    }

    /// Looks and waits until the runtime closes. A look that panics, by a fault of the `Park` or of
    /// this crate, is not the last.
    pub(crate) fn run_to_close(mut self) {
        let workers = Arc::clone(&self.workers);
        let timer = &workers.monitor().timer;
        while !workers.is_closing() {
            let next = panics::contain(Place::Monitor, || self.look(workers.now()));
            match next.unwrap_or(Next::LookAgainIn(PERIOD_MAX)) {
                Next::LookAgainIn(period) => {
                    timer.set(period);
                    timer.wait();
                }
                Next::Doze => self.doze(),
            }
        }
    }

    /// Raises the estimates of stuck workers and wakes a worker if that makes work worth it; finds
    /// out whether what arrives waits too long.
    pub(crate) fn look(&mut self, now: Instant) -> Next {
        self.workers.raise_estimates(now);
        self.help(now);
        self.check_overload(now);
        let undecided = self.check_long_polls(now);
        let longest = if undecided { PERIOD_MIN } else { self.workers.monitor().period(now) };
        self.looks_at_rest = if self.workers.at_rest() { self.looks_at_rest + 1 } else { 0 };
        // When polls have been long lately the next is to be seen early, at rest or not.
        let enough = if longest == PERIOD_MIN { LOOKS_AT_REST } else { 1 };
        if self.looks_at_rest >= enough {
            self.looks_at_rest = 0;
            return Next::Doze;
        }
        self.period = (self.period * 2).min(longest);
        Next::LookAgainIn(self.period)
    }

    /// Begins long-poll mode if a poll holds up its worker. Whether one might, so that it is to be
    /// looked at again soon.
    fn check_long_polls(&mut self, now: Instant) -> bool {
        let monitor = self.workers.monitor();
        if monitor.long_poll_mode_is_fresh(now) {
            return false;
        }
        match self.detector.look(&*self.workers, now) {
            Finding::Blocking => monitor.begin_long_poll_mode(now),
            Finding::Undecided => return true,
            Finding::Nothing => {}
        }
        false
    }

    fn help(&self, now: Instant) {
        if self.workers.notify(Trigger::MonitorTick { now }) {
            self.workers.monitor().rescues.add(1);
        } else {
            self.workers.notify(Trigger::MonitorStandby { now });
        }
    }

    fn check_overload(&mut self, now: Instant) {
        let overload = self.workers.overload();
        if self.workers.any_is_idle() {
            overload.set(self.codel.judge(now, None));
            overload.reset();
            return;
        }
        let delay = overload.delay(now).max(self.workers.oldest_runnable(now));
        overload.set(self.codel.judge(now, Some(Duration::from_nanos(delay))));
        if now - self.probed_at >= PERIOD_MAX {
            self.probed_at = now;
            self.send_probes(now);
        }
    }

    /// Sends a probe into each shard that has none.
    fn send_probes(&self, now: Instant) {
        let overload = self.workers.overload();
        for shard in 0..overload.shards() {
            if overload.send(shard, now) {
                self.workers.wake_shard(shard);
            }
        }
    }

    /// Waits until a worker has run for a period without all of them being idle.
    fn doze(&self) {
        let monitor = self.workers.monitor();
        monitor.doze();
        if self.workers.at_rest() && !self.workers.is_closing() {
            monitor.timer.wait();
        }
        monitor.state.on_wake();
    }
}

/// How many times in a row the monitor then finds that nothing runs before it dozes.
const LOOKS_AT_REST: u32 = 10;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::clock::Clock;
    use crate::monitor::{OVERLOAD_INTERVAL, OVERLOAD_TARGET};
    use crate::wheel::Arming;
    use crate::worker::shared::tests::of_one_worker;

    #[test]
    fn monitor_looks_while_a_worker_runs_and_dozes_when_it_sleeps() {
        // Time stands still, so that the mode lasts.
        let shared = Arc::new(of_one_worker(Clock::manual().0));
        let codel = CoDel::new(OVERLOAD_TARGET, OVERLOAD_INTERVAL);
        let mut monitor = Monitor::new(Arc::clone(&shared), codel);
        let mut look = || monitor.look(shared.context.clock.now());
        for _ in 0..2 {
            assert!(matches!(look(), Next::LookAgainIn(_)), "its worker runs");
            let park_kind = shared.sleep.announce(0, 1);
            assert_eq!(look(), Next::Doze);
            assert!(!shared.sleep.leave(0, park_kind));
        }
        let _bed = shared.sleep.announce(0, 1);
        shared.monitor.begin_long_poll_mode(shared.context.clock.now());
        for _ in 1..LOOKS_AT_REST {
            assert_eq!(look(), Next::LookAgainIn(PERIOD_MIN), "there may be more of them");
        }
        assert_eq!(look(), Next::Doze);
    }

    /// Failure: the `Park` panicked when a shared timer was armed, so no worker was woken to wait for
    /// it. The monitor looked once, found nothing due, and dozed.
    #[test]
    fn monitor_looks_until_a_worker_waits_for_the_next_shared_timer() {
        let shared = Arc::new(of_one_worker(Clock::system()));
        let codel = CoDel::new(OVERLOAD_TARGET, OVERLOAD_INTERVAL);
        let mut monitor = Monitor::new(Arc::clone(&shared), codel);
        let mut look = || monitor.look(shared.context.clock.now());
        let _bed = shared.sleep.announce(0, 1);
        assert_eq!(look(), Next::Doze);
        let in_an_hour = shared.context.clock.now() + Duration::from_secs(3600);
        let mut arming = Arming::new(in_an_hour, Waker::noop());
        let _armed = shared.context.shared_timers.file(None, &mut arming);
        arming.finish();
        for _ in 0..3 {
            assert!(matches!(look(), Next::LookAgainIn(_)), "no worker waits for the timer");
        }
        assert!(shared.watch_shared_timers().is_some());
        assert_eq!(look(), Next::Doze);
    }
}
