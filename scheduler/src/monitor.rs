//! The monitor: looks after workers that cannot look after themselves.
//!
//! It is a function of the time, of what the workers publish, and of what the kernel tells of a
//! worker that is in a long poll. A thread calls it; it sleeps when nothing has run for a tenth of a
//! second, so that an idle runtime makes no system calls.

use std::sync::Arc;
use std::time::Duration;

use crate::core::Core;
use crate::figures::Count;
use crate::overload::Rule;
use crate::policy::{
    ALERT, LOOKS_AT_REST, MONITOR_PERIOD_MAX, MONITOR_PERIOD_MIN, PAUSE_MAX, PAUSE_MIN, SUSPICION,
    nanos,
};
use crate::suspects::{Finding, Suspects};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::fence;
use crate::threads::Parker;
use crate::time::Instant;

/// What workers tell the monitor.
#[derive(Debug)]
pub(crate) struct Watch {
    parker: Parker,
    /// The monitor sleeps until somebody runs. It sets this and then looks whether everybody
    /// sleeps; a worker gets up and then looks at this. Both have a SeqCst fence between (the
    /// worker's is in `Sleep::leave`), so one sees the other.
    asleep: AtomicBool,
    /// Until when long polls count as being seen, in clock nanoseconds. Written by the monitor.
    alert_until: AtomicU64,
    /// Until when the monitor looks often for the cause of a long poll that it did not see. Written,
    /// like the next two, by any worker that had one; of two at a time either may win.
    suspicious_until: AtomicU64,
    /// When the next such poll may have it look.
    suspicious_again: AtomicU64,
    /// How long the pause after the next such time is, in nanoseconds.
    pause: AtomicU64,
    /// Wakes that the monitor sent because work waited that nobody came to. Written by the monitor.
    pub(crate) rescues: Count,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Watch {
            parker: Parker::new(),
            asleep: AtomicBool::new(false),
            alert_until: AtomicU64::new(0),
            suspicious_until: AtomicU64::new(0),
            suspicious_again: AtomicU64::new(0),
            pause: AtomicU64::new(nanos(PAUSE_MIN)),
            rescues: Count::default(),
        }
    }

    /// Tells a sleeping monitor that somebody runs. One load where it is awake.
    pub(crate) fn rouse(&self) {
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.parker.unpark();
        }
    }

    /// Ends the monitor's wait whatever it waits for.
    pub(crate) fn interrupt(&self) {
        self.parker.unpark();
    }

    /// A poll was long and nobody knows why: has the monitor look often for a while, so that it sees
    /// the next one. Ever more rarely, as preemption may be all there is to see.
    pub(crate) fn suspect(&self, now: Instant) {
        if now.as_nanos() < self.suspicious_again.load(Ordering::Relaxed) {
            return;
        }
        let pause = self.pause.load(Ordering::Relaxed);
        self.pause.store((pause * 2).min(nanos(PAUSE_MAX)), Ordering::Relaxed);
        let until = now + SUSPICION;
        self.suspicious_until.store(until.as_nanos(), Ordering::Relaxed);
        self.suspicious_again.store(until.as_nanos().saturating_add(pause), Ordering::Relaxed);
        self.interrupt();
    }

    fn suspicious(&self, now: Instant) -> bool {
        self.suspicious_until.load(Ordering::Relaxed) > now.as_nanos()
    }

    /// Whether long polls are being seen.
    pub(crate) fn alerted(&self, now: Instant) -> bool {
        self.alert_left(now) > 0
    }

    fn alert(&self, now: Instant) {
        self.alert_until.store((now + ALERT).as_nanos(), Ordering::Relaxed);
        self.pause.store(nanos(PAUSE_MIN), Ordering::Relaxed);
    }

    /// For how many nanoseconds more they count as being seen.
    fn alert_left(&self, now: Instant) -> u64 {
        self.alert_until.load(Ordering::Relaxed).saturating_sub(now.as_nanos())
    }
}

pub(crate) struct Monitor {
    core: Arc<Core>,
    period: Duration,
    rule: Rule,
    probed_at: Instant,
    suspects: Suspects,
    /// How many looks in a row found that nothing runs.
    looks_at_rest: u32,
}

/// What the monitor does after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    LookAgainIn(Duration),
    /// Nothing runs: sleep until [`Watch::rouse`].
    Sleep,
}

impl Monitor {
    pub(crate) fn new(core: Arc<Core>, rule: Rule) -> Self {
        Monitor {
            suspects: Suspects::new(core.workers.len()),
            core,
            period: MONITOR_PERIOD_MAX,
            rule,
            probed_at: Instant::ZERO,
            looks_at_rest: 0,
        }
    }

    /// Looks and waits until the runtime closes.
    pub(crate) fn run_to_close(mut self) {
        while !self.core.closing() {
            match self.look(self.core.clock.now()) {
                Next::LookAgainIn(period) => self.core.watch.parker.park(Some(period)),
                Next::Sleep => self.sleep(),
            }
        }
    }

    /// Raises the estimates of stuck workers and wakes somebody if that makes work worth it; says
    /// whether what arrives waits too long.
    pub(crate) fn look(&mut self, now: Instant) -> Next {
        for worker in &self.core.workers {
            worker.raise_estimate_if_stuck(now);
        }
        self.help(now);
        self.watch_overload(now);
        let suspicious = self.watch_long_polls(now);
        if self.core.at_rest() {
            self.looks_at_rest += 1;
            if self.looks_at_rest >= LOOKS_AT_REST {
                return Next::Sleep;
            }
        } else {
            self.looks_at_rest = 0;
        }
        let watch = &self.core.watch;
        self.period = if suspicious || watch.suspicious(now) || watch.alerted(now) {
            MONITOR_PERIOD_MIN
        } else {
            (self.period * 2).min(MONITOR_PERIOD_MAX)
        };
        Next::LookAgainIn(self.period)
    }

    /// Raises the alert if a poll holds up its worker. Whether one might, so that it is to be looked
    /// at again soon.
    fn watch_long_polls(&mut self, now: Instant) -> bool {
        let watch = &self.core.watch;
        if watch.alert_left(now) > nanos(ALERT) / 2 {
            return false;
        }
        let workers = self.core.workers.iter().map(|worker| &***worker);
        match self.suspects.look(workers, now) {
            Finding::Hold => watch.alert(now),
            Finding::Suspicion => return true,
            Finding::Nothing => {}
        }
        false
    }

    fn help(&self, now: Instant) {
        let core = &self.core;
        if core.wake_is_due(now) || core.a_lane_needs_a_listener() {
            core.watch.rescues.add(core.wake_for_unowned().into());
        } else if core.watch.alerted(now) && core.standby_is_missing() {
            core.wake_for_unowned();
        }
    }

    fn watch_overload(&mut self, now: Instant) {
        let overload = &self.core.overload;
        if self.core.somebody_idles() {
            overload.set(self.rule.judge(now, None));
            overload.forget();
            return;
        }
        let delay = overload.delay(now).max(self.core.oldest_runnable(now));
        overload.set(self.rule.judge(now, Some(Duration::from_nanos(delay))));
        if now - self.probed_at >= MONITOR_PERIOD_MAX {
            self.probed_at = now;
            self.core.probe(now);
        }
    }

    fn sleep(&mut self) {
        let watch = &self.core.watch;
        watch.asleep.store(true, Ordering::Relaxed);
        // Pairs with the fence in `Sleep::leave`.
        fence(Ordering::SeqCst);
        if self.core.at_rest() && !self.core.closing() {
            watch.parker.park(None);
        }
        watch.asleep.store(false, Ordering::Relaxed);
        self.looks_at_rest = 0;
    }
}

impl Core {
    /// Whether every worker sleeps and nothing waits.
    pub(crate) fn at_rest(&self) -> bool {
        self.sleep.sleepers().asleep() == self.workers.len()
            && self.injector.is_empty()
            && self.workers.iter().all(|worker| worker.queue.is_empty())
    }

    /// Whether a worker has nothing to do. While its lane has something to take, a listener is
    /// only passing through.
    fn somebody_idles(&self) -> bool {
        let sleepers = self.sleep.sleepers();
        let idle = |lane| self.sleep.lane_is_covered(lane) && !self.park.ready(lane);
        sleepers.parked() > 0 || sleepers.listening() > 0 && (0..self.park.lanes()).any(idle)
    }

    /// Sends a probe into each lane that has none.
    fn probe(&self, now: Instant) {
        for lane in 0..self.park.lanes() {
            if self.overload.send(lane, now) {
                self.park.wake(lane);
            }
        }
    }

    /// Whether a lane has something to take and nobody listens there.
    fn a_lane_needs_a_listener(&self) -> bool {
        (0..self.park.lanes())
            .any(|lane| !self.sleep.lane_is_covered(lane) && self.park.ready(lane))
    }

    /// Whether nobody stands by beside the listener that may be caught in a long poll next.
    fn standby_is_missing(&self) -> bool {
        let sleepers = self.sleep.sleepers();
        sleepers.listening() < 2 && sleepers.parked() > 0 && self.park.places() > 1
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::park::Idle;
    use crate::policy::{OVERLOAD_INTERVAL, OVERLOAD_TARGET};
    use crate::time::{Clock, TimerQueue};

    /// Failure: at 200 requests a second the monitor was woken for each, looked once and slept.
    #[test]
    fn monitor_looks_for_a_while_after_the_last_run_and_then_sleeps() {
        let (_, queue) = crate::queue::queue();
        let timers = Arc::new(TimerQueue::new(None));
        let core = Arc::new(Core::new(Idle::new(), Clock::system(), vec![queue], 1, timers));
        let rule = Rule::new(OVERLOAD_TARGET, OVERLOAD_INTERVAL);
        let mut monitor = Monitor::new(Arc::clone(&core), rule);
        let mut look = || monitor.look(core.clock.now());
        for _ in 0..2 {
            assert!(matches!(look(), Next::LookAgainIn(_)), "its worker runs");
            let bed = core.sleep.announce(0, 1);
            for _ in 1..LOOKS_AT_REST {
                assert!(matches!(look(), Next::LookAgainIn(_)));
            }
            assert_eq!(look(), Next::Sleep);
            assert!(!core.sleep.leave(0, bed));
        }
    }
}
