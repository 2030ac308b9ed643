//! What the monitor waits for: a time that workers put off without waking it.
//!
//! A thread that waits for a condition variable has to be woken to wait for longer. A timer of the
//! kernel's is set anew by any thread, for one system call, while its reader sleeps on.

use std::io;
use std::time::Duration;

use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::fence;

#[derive(Debug)]
pub(crate) struct MonitorTimer {
    /// `None` in a runtime without a monitor: then to set it does nothing.
    timer: Option<imp::Timer>,
    /// It is to fire at once, whatever other threads set it to meanwhile. Stored before the timer is
    /// set, and loaded after; both have a SeqCst fence between, so the later of two threads that set
    /// the timer does what was asked for. That is why the accesses beside the fences are Relaxed.
    at_once: AtomicBool,
}

impl MonitorTimer {
    pub(crate) fn new() -> io::Result<MonitorTimer> {
        Ok(MonitorTimer { timer: Some(imp::Timer::new()?), at_once: AtomicBool::new(false) })
    }

    /// The timer of no monitor.
    pub(super) fn of_none() -> MonitorTimer {
        MonitorTimer { timer: None, at_once: AtomicBool::new(false) }
    }

    /// It fires after so long, and no longer when it was to before.
    pub(crate) fn set(&self, delay: Duration) {
        let Some(timer) = &self.timer else { return };
        timer.set(delay);
        // Pairs with the fence in `fire`.
        fence(Ordering::SeqCst);
        if self.at_once.load(Ordering::Relaxed) && !mutant::on(Mutant::MonitorTimerPutOff) {
            timer.set(Duration::ZERO);
        }
    }

    /// It fires now.
    pub(crate) fn fire(&self) {
        self.at_once.store(true, Ordering::Relaxed);
        // Pairs with the fence in `set`: either that one sees the flag, or this sets the timer later.
        fence(Ordering::SeqCst);
        if let Some(timer) = &self.timer {
            timer.set(Duration::ZERO);
        }
    }

    /// Waits until it fires; it is not set then. By one thread at a time. May return early.
    pub(crate) fn wait(&self) {
        if let Some(timer) = &self.timer {
            timer.wait();
        }
        // Acquire, with the fence in `fire`: the thread that waited sees why it is to look.
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
            // To 0 it would be taken for one that never fires.
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

    /// Far beyond what is ever set, and far within what the kernel takes.
    const LONGEST: Duration = Duration::from_secs(1 << 30);
}

#[cfg(any(not(target_os = "linux"), heist_loom))]
mod imp {
    use std::io;
    use std::time::{Duration, Instant};

    use crate::sync::{Condvar, Mutex};

    /// Where there is no better one. Setting it wakes its reader, which then waits for longer.
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

/// The models' timer knows two times: now, and so late that no model sees it.
#[cfg(all(test, heist_loom))]
mod loom {
    use std::time::Duration;

    use loom::sync::Arc;
    use loom::thread;

    use super::MonitorTimer;
    use crate::mutant::{Mutant, caught};

    const NEVER: Duration = Duration::from_secs(u64::MAX);

    #[test]
    fn a_timer_that_is_to_fire_is_not_put_off() {
        for fire_first in [false, true] {
            loom::model(move || {
                let timer = Arc::new(MonitorTimer::new().unwrap());
                let other = Arc::clone(&timer);
                let other = thread::spawn(move || match fire_first {
                    true => other.set(NEVER),
                    false => other.fire(),
                });
                match fire_first {
                    true => timer.fire(),
                    false => timer.set(NEVER),
                }
                timer.wait();
                other.join().unwrap();
            });
        }
    }

    #[test]
    fn mutants_are_caught() {
        caught(
            Mutant::MonitorTimerPutOff,
            "monitor::timer::loom::a_timer_that_is_to_fire_is_not_put_off",
        );
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(1 << 40);

    #[test]
    fn it_fires_when_it_was_last_set_to() {
        let timer = MonitorTimer::new().unwrap();
        timer.set(LONG);
        timer.set(Duration::ZERO);
        timer.wait();
        timer.set(LONG);
        timer.set(Duration::from_millis(1));
        timer.wait();
    }

    #[test]
    fn fire_ends_a_wait_and_is_no_time_to_be_put_off() {
        let timer = Arc::new(MonitorTimer::new().unwrap());
        timer.fire();
        timer.set(LONG);
        timer.wait();
        let other = Arc::clone(&timer);
        let waiting = thread::spawn(move || other.wait());
        timer.set(LONG);
        timer.fire();
        waiting.join().unwrap();
    }
}
