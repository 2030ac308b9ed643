//! What workers tell the monitor, and what it tells them.

use std::io;
use std::time::Duration;

use super::timer::MonitorTimer;
use crate::clock::{Instant, nanos};
use crate::metrics::Counter;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wake::MonitorState;

/// The part of the monitor that workers share.
///
/// The times are in nanoseconds of the clock. All accesses are Relaxed. Each time stands for itself, and
/// one that is read late has the monitor look a little earlier or later than it would. `timer_at` is
/// ordered by the changes of `state`, which are AcqRel: the worker that sets the timer next sees it.
#[derive(Debug)]
pub(crate) struct MonitorShared {
    pub(super) timer: MonitorTimer,
    pub(super) state: MonitorState,
    /// When the timer fires while the monitor dozes; 0 where it is not set. Stored before the timer
    /// is set, so that a worker that finds it here may rely on it.
    timer_at: AtomicU64,
    /// The end of long-poll mode. Written by the monitor.
    long_poll_mode_until: AtomicU64,
    /// The end of probation. Written, like the next two, by any worker that had a long poll; of two
    /// at a time either may win.
    probation_until: AtomicU64,
    /// When a long poll may begin the next probation.
    probation_again: AtomicU64,
    /// How long the pause after the next probation is.
    pause: AtomicU64,
    /// The end of suspicion. Written by any worker that had a long poll.
    suspicion_until: AtomicU64,
    /// Wakes that the monitor sent because work waited that no worker came to. Written by the monitor.
    pub(crate) rescues: Counter,
}

impl MonitorShared {
    /// # Errors
    /// When the system gives no timer.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(MonitorShared::with(MonitorTimer::new()?))
    }

    /// That of a runtime without a monitor.
    pub(crate) fn without_monitor() -> Self {
        MonitorShared::with(MonitorTimer::of_none())
    }

    fn with(timer: MonitorTimer) -> Self {
        MonitorShared {
            timer,
            state: MonitorState::new(),
            timer_at: AtomicU64::new(0),
            long_poll_mode_until: AtomicU64::new(0),
            probation_until: AtomicU64::new(0),
            probation_again: AtomicU64::new(0),
            pause: AtomicU64::new(nanos(PAUSE_MIN)),
            suspicion_until: AtomicU64::new(0),
            rescues: Counter::default(),
        }
    }

    /// A worker is no longer idle: a monitor that dozes looks in a period from now, unless all workers
    /// are idle again before. One load where the monitor is awake.
    pub(crate) fn on_unpark(&self, now: Instant) {
        if self.state.on_unpark() {
            self.put_off(now);
        }
    }

    /// Every worker is idle.
    pub(crate) fn on_all_idle(&self) {
        self.state.on_all_idle();
    }

    /// Sets the timer to the first look from now, or leaves it where that is at most half a period
    /// earlier.
    fn put_off(&self, now: Instant) {
        let period = self.period(now);
        let first = if period == PERIOD_MAX { FIRST_LOOK } else { period };
        let fires_in = self.timer_at.load(Ordering::Relaxed).saturating_sub(now.as_nanos());
        if !(nanos(first) - nanos(period) / 2..=nanos(first)).contains(&fires_in) {
            self.timer_at.store((now + first).as_nanos(), Ordering::Relaxed);
            self.timer.set(first);
        }
    }

    /// The monitor begins to doze, with no timer set.
    pub(super) fn doze(&self) {
        self.timer_at.store(0, Ordering::Relaxed);
        self.state.doze();
    }

    /// How much time may pass between two looks.
    pub(super) fn period(&self, now: Instant) -> Duration {
        if self.in_probation(now) || self.in_long_poll_mode(now) {
            PERIOD_MIN
        } else if self.in_suspicion(now) {
            PERIOD_IN_SUSPICION
        } else {
            PERIOD_MAX
        }
    }

    /// Ends the monitor's wait whatever it waits for.
    pub(crate) fn interrupt(&self) {
        self.timer.fire();
    }

    /// A poll was long and its cause is not known: the monitor looks often for a while, so that it
    /// sees the next one. Ever more rarely, as preemption may be all there is to see.
    pub(crate) fn begin_probation(&self, now: Instant) {
        if now.as_nanos() < self.probation_again.load(Ordering::Relaxed) {
            return;
        }
        let pause = self.pause.load(Ordering::Relaxed);
        self.pause.store((pause * 2).min(nanos(PAUSE_MAX)), Ordering::Relaxed);
        let until = now + PROBATION;
        self.probation_until.store(until.as_nanos(), Ordering::Relaxed);
        self.probation_again.store(until.as_nanos().saturating_add(pause), Ordering::Relaxed);
        self.interrupt();
    }

    /// Work waited behind such a poll: the monitor looks as often as sees the next one of several milliseconds.
    pub(crate) fn begin_suspicion(&self, now: Instant) {
        self.suspicion_until.store((now + SUSPICION).as_nanos(), Ordering::Relaxed);
    }

    fn in_probation(&self, now: Instant) -> bool {
        self.probation_until.load(Ordering::Relaxed) > now.as_nanos()
    }

    pub(crate) fn in_suspicion(&self, now: Instant) -> bool {
        self.suspicion_until.load(Ordering::Relaxed) > now.as_nanos()
    }

    /// Whether polls were found lately that hold up their workers.
    pub(crate) fn in_long_poll_mode(&self, now: Instant) -> bool {
        self.long_poll_mode_left(now) > 0
    }

    /// By the monitor, which found such a poll.
    pub(crate) fn begin_long_poll_mode(&self, now: Instant) {
        self.long_poll_mode_until.store((now + LONG_POLL_MODE).as_nanos(), Ordering::Relaxed);
        self.pause.store(nanos(PAUSE_MIN), Ordering::Relaxed);
    }

    /// Whether long-poll mode lasts so long that the next look is early enough to renew it.
    pub(super) fn long_poll_mode_is_fresh(&self, now: Instant) -> bool {
        self.long_poll_mode_left(now) > nanos(LONG_POLL_MODE) / 2
    }

    fn long_poll_mode_left(&self, now: Instant) -> u64 {
        self.long_poll_mode_until.load(Ordering::Relaxed).saturating_sub(now.as_nanos())
    }
}

/// A poll this long is reported to the monitor.
pub(crate) const LONG_POLL: Duration = Duration::from_micros(500);
/// For how long after a poll that held up its worker the monitor looks often and a second worker
/// stands by.
const LONG_POLL_MODE: Duration = Duration::from_secs(1);
/// For how long the monitor looks often after a long poll that it did not see.
const PROBATION: Duration = Duration::from_millis(100);
/// From the end of one probation to the next, at least, at first; twice as long after each.
const PAUSE_MIN: Duration = PROBATION;
/// How long handlers that begin to block for less than a period may go unnoticed where preemption is
/// common, unless the monitor looks just then.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// The monitor's period in long-poll mode and in probation.
pub(super) const PERIOD_MIN: Duration = LONG_POLL;
/// For how long after a long poll behind which work waited the monitor's period is shorter.
const SUSPICION: Duration = Duration::from_millis(250);
/// The monitor's period in suspicion: it sees every poll of 5 ms, for 0.5 % of a CPU where it is awake.
const PERIOD_IN_SUSPICION: Duration = Duration::from_millis(4);
/// The monitor's period otherwise; a look costs about 20 µs of CPU.
pub(super) const PERIOD_MAX: Duration = Duration::from_millis(10);
/// From the end of a rest, in which every worker was idle, to the monitor's first look, where polls were
/// short lately. Longer than a period, as a timer that fires in the next rest wakes a thread for nothing:
/// 35 times a second at 200 requests a second where it was a period, for 8 % of the CPU time.
const FIRST_LOOK: Duration = Duration::from_millis(20);

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    /// When the timer fires, in milliseconds.
    fn fires_at(shared: &MonitorShared) -> u64 {
        shared.timer_at.load(Ordering::Relaxed) / 1_000_000
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    /// Failure: at 200 requests a second the monitor was woken for each, or by a hundred looks that
    /// found nothing: 10 of 56 µs CPU a request.
    #[test]
    fn timer_is_put_off_by_the_first_worker_to_run_after_all_were_idle() {
        let shared = MonitorShared::new().unwrap();
        shared.on_unpark(at(1_000));
        assert_eq!(fires_at(&shared), 0, "a monitor that is awake needs no timer");
        shared.doze();
        shared.on_unpark(at(1_000));
        assert_eq!(fires_at(&shared), 1_020);
        shared.on_unpark(at(1_007));
        assert_eq!(fires_at(&shared), 1_020, "a worker that ran before may still run");
        shared.on_all_idle();
        shared.on_unpark(at(1_004));
        assert_eq!(fires_at(&shared), 1_020, "that is late enough, and costs no system call");
        shared.on_all_idle();
        shared.on_unpark(at(1_007));
        assert_eq!(fires_at(&shared), 1_027);
    }

    /// Failure: where preempted polls had made the pauses long, no handler that blocked for 5 ms was seen, as
    /// the timer was put off to a period of 10 ms after each rest.
    #[test]
    fn timer_fires_within_five_milliseconds_in_the_pause_after_a_probation() {
        let shared = MonitorShared::new().unwrap();
        shared.doze();
        shared.begin_probation(at(1_000));
        shared.begin_suspicion(at(1_101));
        shared.on_unpark(at(1_102));
        assert_eq!(fires_at(&shared), 1_106);
        shared.on_all_idle();
        shared.on_unpark(at(1_103));
        assert_eq!(fires_at(&shared), 1_106, "that is late enough");
        shared.on_all_idle();
        shared.on_unpark(at(1_105));
        assert_eq!(fires_at(&shared), 1_109);
        shared.on_all_idle();
        shared.on_unpark(at(1_351));
        assert_eq!(fires_at(&shared), 1_371, "there was no long poll for long");
    }

    #[test]
    fn timer_fires_sooner_once_a_poll_was_long() {
        let shared = MonitorShared::new().unwrap();
        shared.doze();
        shared.on_unpark(at(1_000));
        shared.begin_probation(at(1_001));
        shared.on_all_idle();
        shared.on_unpark(at(1_002));
        assert_eq!(shared.timer_at.load(Ordering::Relaxed), 1_002_500_000);
    }
}
