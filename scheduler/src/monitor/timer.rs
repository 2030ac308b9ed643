//! What the monitor waits for: a time that others put off without waking it.
//!
//! A thread that waits for a condition variable has to be woken to wait for longer. A timer of the
//! kernel's is set anew by anybody, for one system call, while its reader sleeps on.

use std::io;
use std::time::Duration;

use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::fence;

#[derive(Debug)]
pub(crate) struct Alarm {
    timer: imp::Timer,
    /// It is to ring at once, whatever others set it to meanwhile. Set before the timer is, and
    /// looked at after; both have a SeqCst fence between, so the later of two who set the timer
    /// does what was asked for.
    at_once: AtomicBool,
}

impl Alarm {
    pub(crate) fn new() -> io::Result<Alarm> {
        Ok(Alarm { timer: imp::Timer::new()?, at_once: AtomicBool::new(false) })
    }

    /// It rings after so long, and no longer when it was to before.
    pub(crate) fn set(&self, delay: Duration) {
        self.timer.set(delay);
        fence(Ordering::SeqCst);
        if self.at_once.load(Ordering::Relaxed) && !mutant::on(Mutant::AlarmPutOff) {
            self.timer.set(Duration::ZERO);
        }
    }

    /// It rings now.
    pub(crate) fn ring(&self) {
        self.at_once.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.timer.set(Duration::ZERO);
    }

    /// Waits until it rings; it is not set then. By one thread at a time. May return early.
    pub(crate) fn wait(&self) {
        self.timer.wait();
        // Acquire, with the fence in `ring`: who was rung for sees why.
        self.at_once.swap(false, Ordering::Acquire);
    }
}

#[cfg(all(target_os = "linux", not(heist_loom)))]
mod imp {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::io::{read, retry_on_intr};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    #[derive(Debug)]
    pub(super) struct Timer(OwnedFd);

    impl Timer {
        pub(super) fn new() -> io::Result<Timer> {
            Ok(Timer(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?))
        }

        pub(super) fn set(&self, delay: Duration) {
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            // To 0 it would be taken for one that never rings.
            let delay = delay.clamp(Duration::from_nanos(1), LONGEST);
            let delay =
                Timespec { tv_sec: delay.as_secs() as _, tv_nsec: delay.subsec_nanos().into() };
            let once = Itimerspec { it_interval: never, it_value: delay };
            let outcome = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
            debug_assert!(outcome.is_ok(), "the descriptor and the time are good: {outcome:?}");
        }

        pub(super) fn wait(&self) {
            let outcome = retry_on_intr(|| read(&self.0, &mut [0; 8]));
            debug_assert!(outcome.is_ok(), "the descriptor and the buffer are good: {outcome:?}");
        }
    }

    /// Far beyond what anybody sets, and far within what the kernel takes.
    const LONGEST: Duration = Duration::from_secs(1 << 30);
}

#[cfg(any(not(target_os = "linux"), heist_loom))]
mod imp {
    use std::io;
    use std::time::{Duration, Instant};

    use crate::sync::{Condvar, Mutex};

    /// Where there is no better one. Setting it wakes its reader, who then waits for longer.
    #[derive(Debug)]
    pub(super) struct Timer {
        due: Mutex<Option<Instant>>,
        set: Condvar,
    }

    impl Timer {
        pub(super) fn new() -> io::Result<Timer> {
            Ok(Timer { due: Mutex::new(None), set: Condvar::new() })
        }

        pub(super) fn set(&self, delay: Duration) {
            // What is too far to tell is never.
            *self.due.lock() = Instant::now().checked_add(delay);
            self.set.notify_one();
        }

        pub(super) fn wait(&self) {
            let mut due = self.due.lock();
            loop {
                match due.map(|due| due.saturating_duration_since(Instant::now())) {
                    None => self.set.wait(&mut due),
                    Some(Duration::ZERO) => break,
                    Some(left) => {
                        self.set.wait_for(&mut due, left);
                    }
                }
            }
            *due = None;
        }
    }
}

/// The models' timer knows two times: now, and so late that nobody sees it.
#[cfg(all(test, heist_loom))]
mod loom {
    use std::time::Duration;

    use loom::sync::Arc;
    use loom::thread;

    use super::Alarm;
    use crate::mutant::{Mutant, caught};

    const NEVER: Duration = Duration::from_secs(u64::MAX);

    #[test]
    fn a_ring_is_not_put_off() {
        for ring_first in [false, true] {
            loom::model(move || {
                let alarm = Arc::new(Alarm::new().unwrap());
                let other = Arc::clone(&alarm);
                let other = thread::spawn(move || match ring_first {
                    true => other.set(NEVER),
                    false => other.ring(),
                });
                match ring_first {
                    true => alarm.ring(),
                    false => alarm.set(NEVER),
                }
                alarm.wait();
                other.join().unwrap();
            });
        }
    }

    #[test]
    fn mutants_are_caught() {
        caught(Mutant::AlarmPutOff, "monitor::timer::loom::a_ring_is_not_put_off");
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(1 << 40);

    #[test]
    fn it_rings_when_it_was_last_set_to() {
        let alarm = Alarm::new().unwrap();
        alarm.set(LONG);
        alarm.set(Duration::ZERO);
        alarm.wait();
        alarm.set(LONG);
        alarm.set(Duration::from_millis(1));
        alarm.wait();
    }

    #[test]
    fn a_ring_ends_a_wait_and_is_no_time_to_be_put_off() {
        let alarm = Arc::new(Alarm::new().unwrap());
        alarm.ring();
        alarm.set(LONG);
        alarm.wait();
        let other = Arc::clone(&alarm);
        let waiting = thread::spawn(move || other.wait());
        alarm.set(LONG);
        alarm.ring();
        waiting.join().unwrap();
    }
}
