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
/// Every change is a read-modify-write, so each sees the one before it. What orders them with the
/// work that is submitted and looked for are the SeqCst fences around them (README, case by case):
/// acquire and release would let a sleeper and a submitter each miss what the other wrote. The
/// changes themselves are AcqRel, so that who sees a listener counted sees it in its lane.
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
        Sleepers(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn add_listener(&self) {
        self.0.fetch_add(LISTENING, Ordering::AcqRel);
    }

    pub(crate) fn remove_listener(&self) {
        let before = Sleepers(self.0.fetch_sub(LISTENING, Ordering::AcqRel));
        debug_assert!(before.listening() > 0, "a listener left that never came: {before:?}");
    }

    pub(crate) fn add_parked(&self) {
        self.0.fetch_add(PARKED, Ordering::AcqRel);
    }

    pub(crate) fn remove_parked(&self) {
        let before = Sleepers(self.0.fetch_sub(PARKED, Ordering::AcqRel));
        debug_assert!(before.parked() > 0, "a parked worker left that never came: {before:?}");
    }

    /// Takes the right to wake one worker, if one sleeps and nobody else has the right.
    #[must_use]
    pub(crate) fn take_token(&self) -> bool {
        self.update(|now| (!now.token() && now.asleep() > 0).then_some(now.0 | TOKEN)).is_some()
    }

    /// Gives the right back; what it returns was true at that moment.
    pub(crate) fn release_token(&self) -> Sleepers {
        let before = Sleepers(self.0.fetch_and(!TOKEN, Ordering::AcqRel));
        debug_assert!(before.token(), "a token released that nobody had: {before:?}");
        before
    }

    fn update(&self, change: impl Fn(Sleepers) -> Option<u64>) -> Option<Sleepers> {
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let next = change(Sleepers(now))?;
            match self.0.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(before) => return Some(Sleepers(before)),
                Err(actual) => now = actual,
            }
        }
    }
}
