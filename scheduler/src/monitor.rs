//! The monitor: looks after workers that cannot look after themselves.
//!
//! It is a function of the time and of what the workers publish. A thread calls it; it sleeps while
//! nothing runs, so that an idle runtime makes no system calls.

use std::sync::Arc;
use std::time::Duration;

use crate::core::Core;
use crate::figures::Count;
use crate::overload::Rule;
use crate::policy::{ALERT, MONITOR_PERIOD_MAX, MONITOR_PERIOD_MIN, nanos};
use crate::suspicion::Suspicion;
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
    /// Until when long polls count as being seen, in clock nanoseconds. Written by whoever saw one.
    alert_until: AtomicU64,
    /// Wakes that the monitor sent because work waited that nobody came to. Written by the monitor.
    pub(crate) rescues: Count,
    /// Which long polls are worth telling.
    pub(crate) suspicion: Suspicion,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Watch {
            parker: Parker::new(),
            asleep: AtomicBool::new(false),
            alert_until: AtomicU64::new(0),
            rescues: Count::default(),
            suspicion: Suspicion::new(),
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

    pub(crate) fn report_long_poll(&self, now: Instant) {
        let until = now.as_nanos().saturating_add(nanos(ALERT));
        let before = self.alert_until.swap(until, Ordering::Relaxed);
        if before <= now.as_nanos() {
            // It may be in a long period.
            self.interrupt();
        }
    }

    pub(crate) fn alerted(&self, now: Instant) -> bool {
        self.alert_until.load(Ordering::Relaxed) > now.as_nanos()
    }
}

pub(crate) struct Monitor {
    core: Arc<Core>,
    period: Duration,
    rule: Rule,
    probed_at: Instant,
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
        Monitor { core, period: MONITOR_PERIOD_MAX, rule, probed_at: Instant::ZERO }
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
        if self.core.at_rest() {
            return Next::Sleep;
        }
        self.period = if self.core.watch.alerted(now) {
            MONITOR_PERIOD_MIN
        } else {
            (self.period * 2).min(MONITOR_PERIOD_MAX)
        };
        Next::LookAgainIn(self.period)
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

    fn sleep(&self) {
        let watch = &self.core.watch;
        watch.asleep.store(true, Ordering::Relaxed);
        // Pairs with the fence in `Sleep::leave`.
        fence(Ordering::SeqCst);
        if self.core.at_rest() && !self.core.closing() {
            watch.parker.park(None);
        }
        watch.asleep.store(false, Ordering::Relaxed);
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
