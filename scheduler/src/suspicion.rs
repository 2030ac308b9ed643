//! Tells a poll that held up its worker from a poll that was itself held up.
//!
//! A handler that blocks or computes for long needs others to stand by. A worker that the kernel
//! took off its CPU looks the same by the clock, and is common where there are more busy threads
//! than CPUs; there a standby only adds to the crowd. Measured on 2 cores shared with the load (64
//! connections): 6.4 µs CPU a request and 155 context switches per 1,000 when every long poll
//! counted, 5.5 and 57 when none did.
//!
//! The kernel knows the difference: a thread that blocked has been switched voluntarily, one that
//! computed has spent CPU time, one that was preempted has done neither. Asking costs two system
//! calls, before the poll and after it, and nobody knows before which poll. So workers ask after
//! each wait, but only for a while:
//!
//! - a long poll of which nothing is known opens a *window*, in which all workers ask;
//! - unless somebody is found to have held his worker, long polls are *presumed* to have been
//!   preempted for ten times as long as the window, and for twice as long with each window in vain,
//!   up to eight seconds;
//! - one that held its worker ends that, and counts as an alert of a second. Until its last quarter
//!   long polls are presumed to be such; then all workers ask again whether to go on.

use std::time::Duration;

use crate::policy::{ALERT, LONG_POLL, nanos};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::threads::{Usage, usage};
use crate::time::Instant;

/// What the workers of a runtime know together. All times are in clock nanoseconds. The words are
/// written by whoever judges a long poll; each stands for itself, and of two that judge at the same
/// time either may win: hence relaxed throughout.
#[derive(Debug)]
pub(crate) struct Suspicion {
    /// When workers begin to ask after their waits.
    asks_from: AtomicU64,
    /// When they stop.
    asks_until: AtomicU64,
    /// Until when long polls that nobody asked about are taken for such as hold their worker.
    held_until: AtomicU64,
    /// After that, until when they are taken for preempted.
    preempted_until: AtomicU64,
    /// For how long they will be the next time.
    presumption: AtomicU64,
}

/// What one worker has seen of itself.
#[derive(Debug, Default)]
pub(crate) struct Witness(Option<Sight>);

#[derive(Clone, Copy, Debug)]
struct Sight {
    at: Instant,
    usage: Usage,
}

/// What is known of a long poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// Nobody asked before it; the next one will be judged.
    Unknown,
    /// It blocked or computed.
    Held,
    /// Nobody asked before it, and those lately did.
    PresumablyHeld,
    /// It was kept from running, or presumably was.
    Preempted,
}

impl Suspicion {
    pub(crate) fn new() -> Self {
        Suspicion {
            asks_from: AtomicU64::new(0),
            asks_until: AtomicU64::new(0),
            held_until: AtomicU64::new(0),
            preempted_until: AtomicU64::new(0),
            presumption: AtomicU64::new(nanos(PRESUMPTION_MIN)),
        }
    }

    fn asks(&self, now: Instant) -> bool {
        let now = now.as_nanos();
        now < self.asks_until.load(Ordering::Relaxed)
            && now >= self.asks_from.load(Ordering::Relaxed)
    }

    fn presume(&self, now: Instant) -> Option<Verdict> {
        let now = now.as_nanos();
        if now < self.held_until.load(Ordering::Relaxed) {
            return Some(Verdict::PresumablyHeld);
        }
        (now < self.preempted_until.load(Ordering::Relaxed)).then_some(Verdict::Preempted)
    }

    fn open_window(&self, now: Instant) {
        self.ask(now, now + WINDOW);
        let presumption = self.presumption.load(Ordering::Relaxed);
        self.preempted_until.store(now.as_nanos().saturating_add(presumption), Ordering::Relaxed);
        self.presumption.store((presumption * 2).min(nanos(PRESUMPTION_MAX)), Ordering::Relaxed);
    }

    fn hold(&self, now: Instant) {
        let end = now + ALERT;
        self.ask(end - ALERT / 4, end);
        self.held_until.store(end.as_nanos(), Ordering::Relaxed);
        self.preempted_until.store(0, Ordering::Relaxed);
        self.presumption.store(nanos(PRESUMPTION_MIN), Ordering::Relaxed);
    }

    fn ask(&self, from: Instant, until: Instant) {
        self.asks_from.store(from.as_nanos(), Ordering::Relaxed);
        self.asks_until.store(until.as_nanos(), Ordering::Relaxed);
    }
}

impl Witness {
    /// To be called after each wait: from here on the worker runs.
    #[inline]
    pub(crate) fn look(&mut self, suspicion: &Suspicion, now: Instant) {
        self.look_by(suspicion, now, usage);
    }

    fn look_by(&mut self, suspicion: &Suspicion, now: Instant, usage: impl FnOnce() -> Usage) {
        self.0 = suspicion.asks(now).then(|| Sight { at: now, usage: usage() });
    }

    /// Judges a poll that took `length`, too long, and ended `now`.
    pub(crate) fn judge(&mut self, suspicion: &Suspicion, now: Instant, length: u64) -> Verdict {
        self.judge_by(suspicion, now, length, usage)
    }

    fn judge_by(
        &mut self,
        suspicion: &Suspicion,
        now: Instant,
        length: u64,
        usage: impl FnOnce() -> Usage,
    ) -> Verdict {
        if self.0.is_none()
            && let Some(verdict) = suspicion.presume(now)
        {
            return verdict;
        }
        let after = Sight { at: now, usage: usage() };
        let Some(before) = self.0.replace(after) else {
            suspicion.open_window(now);
            return Verdict::Unknown;
        };
        if after.tells_of_a_hold_since(&before, length) {
            suspicion.hold(now);
            return Verdict::Held;
        }
        Verdict::Preempted
    }
}

impl Sight {
    /// Whether the poll of this `length` that has just ended blocked or computed.
    fn tells_of_a_hold_since(&self, before: &Sight, length: u64) -> bool {
        let (after, earlier) = (&self.usage, &before.usage);
        // The worker may have computed as long as it ran before the poll, but no longer.
        let elsewhere = self.at.nanos_since(before.at).saturating_sub(length);
        let computed = after.cpu_nanos.saturating_sub(earlier.cpu_nanos).saturating_sub(elsewhere);
        // A lock that was taken for a moment is a voluntary switch as well: where the thread was
        // also preempted, either may have made the poll long.
        let blocked = after.voluntary_switches > earlier.voluntary_switches
            && after.involuntary_switches == earlier.involuntary_switches;
        blocked || computed > nanos(LONG_POLL).max(length / 2)
    }
}

/// How long all workers ask after a long poll of which nothing is known.
const WINDOW: Duration = Duration::from_millis(100);
/// Ten windows: what asking costs is paid at most a tenth of the time.
const PRESUMPTION_MIN: Duration = Duration::from_secs(1);
/// How long handlers that begin to block may go unnoticed where preemption is common.
const PRESUMPTION_MAX: Duration = Duration::from_secs(8);

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    const BEFORE: Usage =
        Usage { voluntary_switches: 7, involuntary_switches: 5, cpu_nanos: 1_000_000 };
    const LONG: u64 = 3_000_000;

    /// What is told of a poll that ended with `usage`, `idle` nanoseconds after the look.
    fn held(usage: Usage, length: u64, idle: u64) -> bool {
        let before = Sight { at: Instant::from_nanos(1), usage: BEFORE };
        let at = before.at + Duration::from_nanos(idle + length);
        Sight { at, usage }.tells_of_a_hold_since(&before, length)
    }

    #[test]
    fn a_poll_that_blocked_or_computed_is_held_and_one_that_did_neither_was_preempted() {
        let blocked = Usage { voluntary_switches: 8, ..BEFORE };
        assert!(held(blocked, 600_000, 0));
        let computed = Usage { cpu_nanos: BEFORE.cpu_nanos + 600_000, ..BEFORE };
        assert!(held(computed, 600_000, 0));
        assert!(!held(computed, LONG, 0));
        assert!(!held(BEFORE, LONG, 0));
    }

    #[test]
    fn what_was_computed_or_blocked_before_a_preempted_poll_is_not_held_against_it() {
        let busy = Usage { cpu_nanos: BEFORE.cpu_nanos + 4_000_000, ..BEFORE };
        assert!(!held(busy, LONG, 4_000_000));
        assert!(held(busy, LONG, 1_000_000));
        let both = Usage { voluntary_switches: 8, involuntary_switches: 6, ..BEFORE };
        assert!(!held(both, LONG, 0));
    }

    #[test]
    fn a_thread_that_waits_is_seen_to_have_blocked() {
        let suspicion = Suspicion::new();
        let mut witness = Witness::default();
        let now = Instant::from_nanos(1);
        assert_eq!(witness.judge(&suspicion, now, 600_000), Verdict::Unknown);
        // As often as it takes to block without being preempted as well.
        let held = (0..1_000).any(|_| {
            witness.look(&suspicion, now);
            let (_never, silence) = std::sync::mpsc::channel::<()>();
            assert!(silence.recv_timeout(Duration::from_millis(1)).is_err());
            witness.judge(&suspicion, now, 600_000) == Verdict::Held
        });
        assert!(held, "a thread that waits is not seen to have blocked");
    }

    /// Two calls after each wait were 0.3 system calls a request on cores shared with the load.
    #[test]
    fn where_all_is_preemption_workers_ask_ever_more_rarely() {
        let suspicion = Suspicion::new();
        let mut witnesses = [Witness::default(), Witness::default()];
        let mut asked = [0, 0];
        let mut now = Instant::from_nanos(1);
        // A wait and a long poll each millisecond of a minute, by turns on two workers.
        for turn in 0..60_000 {
            now += Duration::from_millis(1);
            let (witness, asked) = (&mut witnesses[turn % 2], &mut asked[turn / 30_000]);
            let mut usage = || {
                *asked += 1;
                BEFORE
            };
            witness.look_by(&suspicion, now, &mut usage);
            assert_ne!(witness.judge_by(&suspicion, now, LONG, &mut usage), Verdict::Held);
        }
        // Windows after 0, 1, 3, 7 and 15 seconds, and then every 8.
        assert!((2 * 500..=2 * 600).contains(&asked[0]), "{asked:?}");
        assert!((2 * 300..=2 * 400).contains(&asked[1]), "{asked:?}");
    }

    #[test]
    fn a_handler_that_blocks_is_found_among_preempted_ones_and_stays_found() {
        let suspicion = Suspicion::new();
        let mut witness = Witness::default();
        let blocked = || Usage { voluntary_switches: 8, ..BEFORE };
        let mut now = Instant::from_nanos(1);
        for _ in 0..20_000 {
            witness.look_by(&suspicion, now, || BEFORE);
            let _ = witness.judge_by(&suspicion, now, LONG, || BEFORE);
            now += Duration::from_millis(1);
        }
        // From here on 20 in a second block, between as many that do not.
        let (mut found, mut gap, mut held) = (None, Duration::ZERO, 0);
        for _ in 0..400 {
            for usage in [blocked, || BEFORE] {
                now += Duration::from_millis(25);
                witness.look_by(&suspicion, now, || BEFORE);
                if witness.judge_by(&suspicion, now, LONG, usage) == Verdict::Held {
                    held += 1;
                    gap = gap.max(found.map_or(Duration::ZERO, |last| now - last));
                    found = Some(now);
                }
            }
        }
        assert!(found.is_some_and(|last| now - last < ALERT));
        assert!(gap <= ALERT, "an alert ended although handlers went on blocking: {gap:?}");
        // In 20 seconds, of which one alert takes at least three quarters of one.
        assert!(held <= 27, "asked although it was known: {held}");
    }
}
