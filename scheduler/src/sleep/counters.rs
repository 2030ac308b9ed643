//! Who sleeps where, in one word.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of the word.
///
/// | bits   | meaning                                   | set by                  | cleared by |
/// |--------|-------------------------------------------|-------------------------|------------|
/// | 0–19   | workers that listen on a lane             | the worker, announcing  | the worker, leaving |
/// | 20–39  | workers that are parked                   | the worker, announcing  | whoever takes it off the stack |
/// | 40     | a wake is under way: somebody was woken, or is being woken, and has not yet found work or gone back to sleep | the waker | the woken one |
///
/// Every change is a SeqCst read-modify-write, and every reader that decides upon it has a SeqCst
/// fence between its push and the read: the no-lost-wake-up argument (README, case by case) needs
/// a single total order of announcements and decisions, which acquire and release do not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sleepers(u64);

#[derive(Debug)]
pub(crate) struct Counters(AtomicU64);

const FIELD: u64 = (1 << 20) - 1;
const LISTENING: u64 = 1;
const PARKED: u64 = 1 << 20;
const TOKEN: u64 = 1 << 40;

/// Workers the word can count.
pub(crate) const MAX_WORKERS: usize = FIELD as usize;

impl Sleepers {
    pub(crate) fn listening(self) -> usize {
        (self.0 & FIELD) as usize
    }

    pub(crate) fn parked(self) -> usize {
        ((self.0 >> 20) & FIELD) as usize
    }

    pub(crate) fn asleep(self) -> usize {
        self.listening() + self.parked()
    }

    /// Whether somebody is being woken or searches.
    pub(crate) fn token(self) -> bool {
        self.0 & TOKEN != 0
    }
}

impl Counters {
    pub(crate) fn new() -> Self {
        Counters(AtomicU64::new(0))
    }

    pub(crate) fn load(&self) -> Sleepers {
        Sleepers(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn add_listener(&self) -> Sleepers {
        Sleepers(self.0.fetch_add(LISTENING, Ordering::SeqCst))
    }

    pub(crate) fn remove_listener(&self) -> Sleepers {
        let before = Sleepers(self.0.fetch_sub(LISTENING, Ordering::SeqCst));
        debug_assert!(before.listening() > 0, "a listener left that never came: {before:?}");
        before
    }

    /// Counts one more parked worker, but only while at least `cap` others listen.
    #[must_use]
    pub(crate) fn add_parked_if_listened(&self, cap: usize) -> bool {
        self.update(|now| (now.listening() >= cap).then_some(now.0 + PARKED)).is_some()
    }

    pub(crate) fn remove_parked(&self) -> Sleepers {
        let before = Sleepers(self.0.fetch_sub(PARKED, Ordering::SeqCst));
        debug_assert!(before.parked() > 0, "a parked worker left that never came: {before:?}");
        before
    }

    /// Takes the right to wake one worker, if one sleeps and nobody else has the right.
    #[must_use]
    pub(crate) fn take_token(&self) -> bool {
        self.update(|now| (!now.token() && now.asleep() > 0).then_some(now.0 | TOKEN)).is_some()
    }

    /// Gives the right back; what it returns was true at that moment.
    pub(crate) fn release_token(&self) -> Sleepers {
        let before = Sleepers(self.0.fetch_and(!TOKEN, Ordering::SeqCst));
        debug_assert!(before.token(), "a token released that nobody had: {before:?}");
        before
    }

    fn update(&self, change: impl Fn(Sleepers) -> Option<u64>) -> Option<Sleepers> {
        let mut now = self.0.load(Ordering::SeqCst);
        loop {
            let next = change(Sleepers(now))?;
            match self.0.compare_exchange_weak(now, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(before) => return Some(Sleepers(before)),
                Err(actual) => now = actual,
            }
        }
    }
}
