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
//! calls, so a worker asks after each wait only for a while after a poll that was long, and, where
//! it found nothing but preemption, takes that for the cause of the next second's long polls too.

use std::time::Duration;

use crate::policy::{ALERT, LONG_POLL, nanos};
use crate::threads::{Usage, usage};
use crate::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    /// Until when this worker looks at its usage, by its clock.
    until: Instant,
    /// Until when it takes preemption for the cause without looking.
    trust_until: Instant,
    /// What it had used when it last looked; `None` while it does not look.
    before: Option<Usage>,
    /// Time of the polls since then, in nanoseconds.
    polls: u64,
}

/// What is known of a long poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// Nobody looked before it; the next one will be judged.
    Unknown,
    /// It blocked or computed.
    Held,
    /// It was kept from running.
    Preempted,
}

impl Suspicion {
    /// To be called after each wait: from here on the worker runs.
    pub(crate) fn look(&mut self, now: Instant) {
        self.look_by(now, usage);
    }

    fn look_by(&mut self, now: Instant, usage: impl FnOnce() -> Usage) {
        self.before = (now < self.until).then(usage);
        self.polls = 0;
    }

    /// To be called after each poll that was not long.
    pub(crate) fn passed(&mut self, length: u64) {
        self.polls += length;
    }

    /// Judges a poll that took `length`, too long, and ended `now`.
    pub(crate) fn judge(&mut self, now: Instant, length: u64) -> Verdict {
        self.judge_by(now, length, usage)
    }

    fn judge_by(&mut self, now: Instant, length: u64, usage: impl FnOnce() -> Usage) -> Verdict {
        let others = std::mem::take(&mut self.polls);
        let Some(before) = self.before else {
            if now < self.trust_until {
                return Verdict::Preempted;
            }
            self.until = now + LOOKING;
            self.before = Some(usage());
            return Verdict::Unknown;
        };
        let after = usage();
        self.before = Some(after);
        let verdict = judge(before, after, length, others);
        match verdict {
            Verdict::Held => {
                self.until = now + ALERT;
                self.trust_until = now;
            }
            _ => self.trust_until = now + ALERT,
        }
        verdict
    }
}

/// How long a worker looks after one long poll.
const LOOKING: Duration = Duration::from_millis(100);

fn judge(before: Usage, after: Usage, length: u64, others: u64) -> Verdict {
    let computed = after.cpu_nanos.saturating_sub(before.cpu_nanos).saturating_sub(others);
    // The worker's own work between polls is in there too: hence not only the bound, but half of
    // what the poll took.
    if after.voluntary_switches > before.voluntary_switches
        || computed > nanos(LONG_POLL).max(length / 2)
    {
        Verdict::Held
    } else {
        Verdict::Preempted
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    const BEFORE: Usage = Usage { voluntary_switches: 7, cpu_nanos: 1_000_000 };

    #[test]
    fn a_poll_that_blocked_or_computed_is_held_and_one_that_did_neither_was_preempted() {
        let blocked = Usage { voluntary_switches: 8, ..BEFORE };
        assert_eq!(judge(BEFORE, blocked, 600_000, 0), Verdict::Held);
        let computed = Usage { cpu_nanos: BEFORE.cpu_nanos + 600_000, ..BEFORE };
        assert_eq!(judge(BEFORE, computed, 600_000, 0), Verdict::Held);
        assert_eq!(judge(BEFORE, computed, 600_000, 200_000), Verdict::Preempted);
        assert_eq!(judge(BEFORE, computed, 3_000_000, 0), Verdict::Preempted);
        assert_eq!(judge(BEFORE, BEFORE, 3_000_000, 0), Verdict::Preempted);
    }

    #[test]
    fn a_thread_that_waits_is_seen_to_have_blocked() {
        let mut suspicion = Suspicion::default();
        let now = Instant::from_nanos(1);
        assert_eq!(suspicion.judge(now, 600_000), Verdict::Unknown);
        suspicion.look(now);
        let (_never, silence) = std::sync::mpsc::channel::<()>();
        assert!(silence.recv_timeout(std::time::Duration::from_millis(1)).is_err());
        assert_eq!(suspicion.judge(now, 600_000), Verdict::Held);
        // Later nobody looks any more.
        let later = now + ALERT + ALERT;
        suspicion.look(later);
        assert_eq!(suspicion.judge(later, 600_000), Verdict::Unknown);
    }

    #[test]
    fn preemption_is_believed_for_a_while_and_then_looked_at_again() {
        // What the kernel says of a thread that does nothing.
        let usage = || BEFORE;
        let long = 3_000_000;
        let mut suspicion = Suspicion::default();
        let now = Instant::from_nanos(1);
        assert_eq!(suspicion.judge_by(now, long, usage), Verdict::Unknown);
        assert_eq!(suspicion.judge_by(now, long, usage), Verdict::Preempted);
        suspicion.look_by(now + LOOKING, usage);
        assert_eq!(suspicion.judge_by(now + LOOKING, long, usage), Verdict::Preempted);
        suspicion.look_by(now + ALERT, usage);
        assert_eq!(suspicion.judge_by(now + ALERT, long, usage), Verdict::Unknown);
    }
}
