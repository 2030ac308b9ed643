//! The monitor: looks after workers that cannot look after themselves.
//!
//! It is a function of the time, of what the workers publish, and of what the kernel tells of a
//! worker that is in a long poll. A thread calls it; it dozes as long as everybody rests, or soon
//! rests again, so that neither an idle runtime nor a leisurely one pays for its looks.

pub(crate) mod detector;
pub(crate) mod overload;
pub(crate) mod timer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Instant, nanos};
use crate::metrics::Counter;
use crate::monitor::detector::{Finding, Suspects};
use crate::monitor::overload::Rule;
use crate::monitor::timer::Alarm;
use crate::panics::{self, Place};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wake::MonitorState;
use crate::wake::policy::Trigger;
use crate::worker::shared::Core;

/// What workers tell the monitor.
#[derive(Debug)]
pub(crate) struct Watch {
    alarm: Alarm,
    doze: MonitorState,
    /// When the alarm rings while the monitor dozes, in clock nanoseconds; 0 where it is not set.
    /// Stored before it is set, so that who finds it here may rely on it.
    alarm_at: AtomicU64,
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
    pub(crate) rescues: Counter,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Watch {
            alarm: Alarm::new()?,
            doze: MonitorState::new(),
            alarm_at: AtomicU64::new(0),
            alert_until: AtomicU64::new(0),
            suspicious_until: AtomicU64::new(0),
            suspicious_again: AtomicU64::new(0),
            pause: AtomicU64::new(nanos(PAUSE_MIN)),
            rescues: Counter::default(),
        })
    }

    /// Somebody has got up: a monitor that dozes looks in a period from now, unless everybody rests
    /// again before. One load where it is awake.
    pub(crate) fn got_up(&self, now: Instant) {
        if self.doze.on_unpark() {
            self.put_off(now);
        }
    }

    /// Everybody is in bed.
    pub(crate) fn all_rest(&self) {
        self.doze.on_all_idle();
    }

    /// Sets the alarm to a period from now, or leaves it where it rings in no less than half of one.
    fn put_off(&self, now: Instant) {
        let period = self.period(now);
        let rings_in = self.alarm_at.load(Ordering::Relaxed).saturating_sub(now.as_nanos());
        if !(nanos(period) / 2..=nanos(period)).contains(&rings_in) {
            self.alarm_at.store((now + period).as_nanos(), Ordering::Relaxed);
            self.alarm.set(period);
        }
    }

    /// How long what goes on may go unseen.
    fn period(&self, now: Instant) -> Duration {
        match self.suspicious(now) || self.alerted(now) {
            true => MONITOR_PERIOD_MIN,
            false => MONITOR_PERIOD_MAX,
        }
    }

    /// Ends the monitor's wait whatever it waits for.
    pub(crate) fn interrupt(&self) {
        self.alarm.ring();
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

    pub(crate) fn alert(&self, now: Instant) {
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
    /// Nothing runs.
    Doze,
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

    /// Looks and waits until the runtime closes. A look that panics, by a fault of the `Park` or of
    /// this crate, is not the last.
    pub(crate) fn run_to_close(mut self) {
        let core = Arc::clone(&self.core);
        let alarm = &core.watch.alarm;
        while !core.closing() {
            let next = panics::contain(Place::Monitor, || self.look(core.clock.now()));
            match next.unwrap_or(Next::LookAgainIn(MONITOR_PERIOD_MAX)) {
                Next::LookAgainIn(period) => {
                    alarm.set(period);
                    alarm.wait();
                }
                Next::Doze => self.doze(),
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
        let longest = if suspicious { MONITOR_PERIOD_MIN } else { self.core.watch.period(now) };
        self.looks_at_rest = if self.core.at_rest() { self.looks_at_rest + 1 } else { 0 };
        // When polls have been long lately the next is to be seen early, rests or not.
        let enough = if longest == MONITOR_PERIOD_MIN { LOOKS_AT_REST } else { 1 };
        if self.looks_at_rest >= enough {
            self.looks_at_rest = 0;
            return Next::Doze;
        }
        self.period = (self.period * 2).min(longest);
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
        if core.notify_if_idle(Trigger::MonitorTick { now }) {
            core.watch.rescues.add(1);
        } else {
            core.notify_if_idle(Trigger::MonitorStandby { now });
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

    /// Waits until somebody has run for a period without a rest.
    fn doze(&self) {
        let watch = &self.core.watch;
        watch.alarm_at.store(0, Ordering::Relaxed);
        watch.doze.doze();
        if self.core.at_rest() && !self.core.closing() {
            watch.alarm.wait();
        }
        watch.doze.on_wake();
    }
}

impl Core {
    /// Whether every worker is in bed.
    pub(crate) fn all_rest(&self) -> bool {
        self.sleep.idle().all() == self.workers.len()
    }

    /// Whether every worker sleeps and nothing waits.
    fn at_rest(&self) -> bool {
        self.all_rest()
            && self.injector.is_empty()
            && self.workers.iter().all(|worker| worker.queue.is_empty())
    }

    /// Whether a worker has nothing to do. While its lane has something to take, a listener is
    /// only passing through.
    fn somebody_idles(&self) -> bool {
        let workers = self.sleep.idle();
        let idle = |lane| self.sleep.shard_is_covered(lane) && !self.park.ready(lane);
        workers.parked() > 0 || workers.listening() > 0 && (0..self.park.lanes()).any(idle)
    }

    /// Sends a probe into each lane that has none.
    fn probe(&self, now: Instant) {
        for lane in 0..self.park.lanes() {
            if self.overload.send(lane, now) {
                self.wake_shard(lane);
            }
        }
    }
}

/// A poll this long is reported to the monitor.
pub(crate) const LONG_POLL: Duration = Duration::from_micros(500);
/// For how long after a long poll the monitor looks often and a second worker stands by.
pub(crate) const ALERT: Duration = Duration::from_secs(1);
/// For how long the monitor looks often after a long poll that it did not see.
pub(crate) const SUSPICION: Duration = Duration::from_millis(100);
/// From the end of one such time to the next, at least, at first; twice as long after each.
pub(crate) const PAUSE_MIN: Duration = SUSPICION;
/// How long handlers that begin to block may go unnoticed where preemption is common, unless the
/// monitor comes by just then.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(8);
/// The monitor's period while long polls are being seen.
pub(crate) const MONITOR_PERIOD_MIN: Duration = LONG_POLL;
/// How many times it then finds that nothing runs before it dozes.
pub(crate) const LOOKS_AT_REST: u32 = 10;
/// The monitor's period otherwise; a look costs about 20 µs of CPU.
pub(crate) const MONITOR_PERIOD_MAX: Duration = Duration::from_millis(10);

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::overload::{OVERLOAD_INTERVAL, OVERLOAD_TARGET};
    use super::*;
    use crate::clock::Clock;
    use crate::worker::shared::tests::of_one_worker;

    #[test]
    fn monitor_looks_while_a_worker_runs_and_dozes_when_it_sleeps() {
        let core = Arc::new(of_one_worker(Clock::system()));
        let rule = Rule::new(OVERLOAD_TARGET, OVERLOAD_INTERVAL);
        let mut monitor = Monitor::new(Arc::clone(&core), rule);
        let mut look = || monitor.look(core.clock.now());
        for _ in 0..2 {
            assert!(matches!(look(), Next::LookAgainIn(_)), "its worker runs");
            let bed = core.sleep.announce(0, 1);
            assert_eq!(look(), Next::Doze);
            assert!(!core.sleep.leave(0, bed));
        }
        let _bed = core.sleep.announce(0, 1);
        core.watch.alert(core.clock.now());
        for _ in 1..LOOKS_AT_REST {
            assert_eq!(look(), Next::LookAgainIn(MONITOR_PERIOD_MIN), "there may be more of them");
        }
        assert_eq!(look(), Next::Doze);
    }

    /// When the alarm rings, in milliseconds.
    fn rings_at(watch: &Watch) -> u64 {
        watch.alarm_at.load(Ordering::Relaxed) / 1_000_000
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    /// Failure: at 200 requests a second the monitor was woken for each, or by a hundred looks that
    /// found nothing: 10 of 56 µs CPU a request.
    #[test]
    fn alarm_is_put_off_by_who_gets_up_after_a_rest() {
        let watch = Watch::new().unwrap();
        watch.got_up(at(1_000));
        assert_eq!(rings_at(&watch), 0, "a monitor that is awake needs no alarm");
        watch.doze.doze();
        watch.got_up(at(1_000));
        assert_eq!(rings_at(&watch), 1_010);
        watch.got_up(at(1_007));
        assert_eq!(rings_at(&watch), 1_010, "whoever got up before may still run");
        watch.all_rest();
        watch.got_up(at(1_004));
        assert_eq!(rings_at(&watch), 1_010, "that is soon enough, and costs no system call");
        watch.all_rest();
        watch.got_up(at(1_007));
        assert_eq!(rings_at(&watch), 1_017);
    }

    #[test]
    fn alarm_rings_sooner_once_a_poll_was_long() {
        let watch = Watch::new().unwrap();
        watch.doze.doze();
        watch.got_up(at(1_000));
        watch.suspect(at(1_001));
        watch.all_rest();
        watch.got_up(at(1_002));
        assert_eq!(watch.alarm_at.load(Ordering::Relaxed), 1_002_500_000);
    }
}
