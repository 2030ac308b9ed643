//! Tells a poll that holds up its worker from a poll that is itself held up.
//!
//! A handler that blocks or computes for long needs other workers to stand by. A worker that the kernel
//! took off its CPU looks the same by the clock, and is common where there are more busy threads than
//! CPUs; there a standby only adds to the crowd. Measured on 2 cores shared with the load (64
//! connections): 6.4 µs CPU a request and 155 context switches per 1,000 when every long poll
//! counted, 5.5 and 57 when none did.
//!
//! The monitor, which looks every 10 ms, finds a few of the long polls while they are under way, and
//! asks the kernel only of those. A thread that waits in the kernel is blocked. One that does not is
//! looked at again: by then it has computed most of the time, or has been kept from it. So workers ask
//! nothing. A worker that had a long poll which the monitor did not see begins *probation*: the monitor
//! looks every 500 µs for a tenth of a second, with ever longer pauses between such times. Where work waited
//! behind that poll it looks every 4 ms for a while, pause or not. A server whose handlers have begun to block
//! is mostly found out by the second of them, and by that one always if it blocks for 5 ms.

use std::time::Duration;

use super::shared::LONG_POLL;
use super::workers::Workers;
use crate::clock::Instant;
use crate::threads::Thread;

/// What the monitor has seen of each worker.
#[derive(Debug)]
pub(crate) struct LongPollDetector(Box<[Option<Suspect>]>);

/// A long poll that is to be looked at again.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    /// When it began, in clock nanoseconds: that tells it from the worker's other polls.
    started: u64,
    seen: Instant,
    /// How long its thread had computed when it was seen.
    cpu: Duration,
}

/// What a look at all workers came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub(crate) enum Finding {
    Nothing,
    /// A poll is long and its cause is not known: look again soon.
    Undecided,
    /// A poll holds up its worker.
    Blocking,
}

impl LongPollDetector {
    pub(crate) fn new(workers: usize) -> LongPollDetector {
        LongPollDetector((0..workers).map(|_| None).collect())
    }

    /// Looks at all workers.
    pub(crate) fn look(&mut self, workers: &impl Workers, now: Instant) -> Finding {
        let looks = self.0.iter_mut().enumerate().map(|(worker, suspect)| {
            let Some(started) = workers.long_poll(worker, now) else {
                *suspect = None;
                return Finding::Nothing;
            };
            let finding = judge(suspect, started, now, workers.thread(worker));
            // What was seen of the thread is about that poll only if it is still under way.
            let goes_on = workers.long_poll(worker, now) == Some(started);
            if goes_on { finding } else { Finding::Nothing }
        });
        looks.max().unwrap_or(Finding::Nothing)
    }
}

/// Judges a long poll by what its thread does; where nothing can be known of that, by the clock alone.
fn judge(
    suspect: &mut Option<Suspect>,
    started: u64,
    now: Instant,
    thread: Option<impl ThreadState>,
) -> Finding {
    let Some(thread) = thread else { return Finding::Blocking };
    if thread.is_blocked() != Some(false) {
        return Finding::Blocking;
    }
    let Some(cpu) = thread.cpu_time() else { return Finding::Blocking };
    match *suspect {
        Some(before) if before.started == started => before.finding(now, cpu),
        _ => {
            *suspect = Some(Suspect { started, seen: now, cpu });
            Finding::Undecided
        }
    }
}

impl Suspect {
    /// What it means that its thread has computed for `cpu` until `now`.
    fn finding(&self, now: Instant, cpu: Duration) -> Finding {
        let between = now - self.seen;
        if between < LONG_POLL / 2 {
            return Finding::Undecided;
        }
        match cpu.saturating_sub(self.cpu) > between / 2 {
            true => Finding::Blocking,
            false => Finding::Nothing,
        }
    }
}

/// What can be seen of a thread from outside.
trait ThreadState {
    fn is_blocked(&self) -> Option<bool>;
    fn cpu_time(&self) -> Option<Duration>;
}

impl ThreadState for Thread {
    fn is_blocked(&self) -> Option<bool> {
        Thread::is_blocked(*self)
    }

    fn cpu_time(&self) -> Option<Duration> {
        Thread::cpu_time(*self)
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::sync::mpsc::{self, TryRecvError};

    use super::*;

    /// A thread that is or is not blocked, if that can be seen, and has computed for so many
    /// milliseconds.
    struct Seen(Option<bool>, u64);

    impl ThreadState for Seen {
        fn is_blocked(&self) -> Option<bool> {
            self.0
        }

        fn cpu_time(&self) -> Option<Duration> {
            Some(Duration::from_millis(self.1))
        }
    }

    const STARTED: u64 = 1_000_000;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(STARTED + millis * 1_000_000)
    }

    #[test]
    fn a_thread_that_is_blocked_is_found_at_once() {
        assert_eq!(judge(&mut None, STARTED, at(1), Some(Seen(Some(true), 0))), Finding::Blocking);
    }

    #[test]
    fn a_thread_that_computes_is_found_by_the_second_look() {
        let mut suspect = None;
        assert_eq!(
            judge(&mut suspect, STARTED, at(1), Some(Seen(Some(false), 5))),
            Finding::Undecided
        );
        assert_eq!(
            judge(&mut suspect, STARTED, at(3), Some(Seen(Some(false), 7))),
            Finding::Blocking
        );
    }

    /// A standby for each preempted poll made two CPUs shared with the load a fifth slower.
    #[test]
    fn a_thread_that_has_no_cpu_is_not_taken_for_one_that_computes() {
        let mut suspect = None;
        assert_eq!(
            judge(&mut suspect, STARTED, at(1), Some(Seen(Some(false), 5))),
            Finding::Undecided
        );
        assert_eq!(
            judge(&mut suspect, STARTED, at(9), Some(Seen(Some(false), 6))),
            Finding::Nothing
        );
    }

    #[test]
    fn another_poll_of_the_same_thread_is_not_taken_for_the_one_before() {
        let mut suspect = None;
        assert_eq!(
            judge(&mut suspect, STARTED, at(1), Some(Seen(Some(false), 1))),
            Finding::Undecided
        );
        let next = STARTED + 1_000_000;
        assert_eq!(
            judge(&mut suspect, next, at(9), Some(Seen(Some(false), 9))),
            Finding::Undecided
        );
    }

    #[test]
    fn where_the_system_tells_nothing_of_threads_the_clock_decides() {
        // Failure: without `/proc` a handler that blocks was taken for one that has no CPU.
        assert_eq!(judge(&mut None, STARTED, at(1), Some(Seen(None, 0))), Finding::Blocking);
        assert_eq!(judge(&mut None, STARTED, at(1), None::<Seen>), Finding::Blocking);
    }

    #[test]
    fn a_real_thread_is_seen_to_block_and_to_compute() {
        let (end_wait, wait) = mpsc::channel::<()>();
        let (end_work, work) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(Thread::current()).unwrap();
            assert!(wait.recv().is_err());
            while work.try_recv() == Err(TryRecvError::Empty) {
                std::hint::spin_loop();
            }
        });
        // Elsewhere than on Linux there is nothing to see.
        let Some(seen) = told.recv().unwrap() else { return };
        while seen.is_blocked() != Some(true) {
            std::thread::yield_now();
        }
        let before = seen.cpu_time().unwrap();
        drop(end_wait);
        while seen.cpu_time().unwrap() - before < Duration::from_millis(5) {
            std::thread::yield_now();
        }
        drop(end_work);
        thread.join().unwrap();
        // It is joined when it has ended, and the kernel forgets it a little later.
        while seen.is_blocked().is_some() {
            std::thread::yield_now();
        }
    }
}
