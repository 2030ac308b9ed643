//! What the cell of a task carries beside the future, and the owner that it names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_task::Runnable;

use super::registry::{Registry, Withdraw};
use crate::clock::Instant;
use crate::fair::Account;

/// A task that is to be polled. Holding it is the sole right to run or to drop it.
pub(crate) type Task = Runnable<Meta>;

/// A registry of tasks of any pool.
pub(crate) type TaskRegistry = Registry<dyn Owner>;

/// The pool that runs the tasks of a registry: opaque here, so that tasks do not import the pools.
pub(crate) trait Owner: Withdraw + Send + Sync {
    /// Takes a task that became runnable off the threads of the pool.
    fn schedule(&self, task: Task);

    /// Runs `code` inside the runtime that this belongs to, if that still exists.
    fn run_inside(&self, code: &mut dyn FnMut());
}

/// What the cell carries beside the future.
pub(crate) struct Meta {
    registry: Arc<TaskRegistry>,
    key: u32,
    serial: u32,
    /// The newest [`WakeStamp`]. The thread that queues the task writes it, and so does one that runs it; the
    /// thread that takes the task from the queue reads it. Each of them has the task to itself. Relaxed: the
    /// queue's own ordering publishes it, as does the state of the cell.
    woken: AtomicU64,
}

/// When a task was woken, by what, and what its time is charged to.
///
/// | bits  | meaning |
/// |-------|---------|
/// | 0     | [`BY_EVENT`] |
/// | 1–15  | the [`Account`] |
/// | 16–63 | clock nanoseconds, of which the upper bits are lost: good for 39 hours |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WakeStamp(u64);

impl Meta {
    pub(super) fn new(
        registry: Arc<TaskRegistry>,
        key: u32,
        serial: u32,
        account: Account,
    ) -> Meta {
        let stamp = WakeStamp::new(Instant::ZERO, false, account);
        Meta { registry, key, serial, woken: AtomicU64::new(stamp.0) }
    }

    pub(crate) fn registry(&self) -> &Arc<TaskRegistry> {
        &self.registry
    }

    pub(crate) fn key(&self) -> u32 {
        self.key
    }

    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }

    /// Whether it is the task of that key and serial.
    pub(crate) fn is(&self, key: u32, serial: u32) -> bool {
        (self.key, self.serial) == (key, serial)
    }

    /// Flags the task, to be dropped instead of polled again. False if it has ended.
    pub(super) fn abort(&self) -> bool {
        self.registry.abort(self.key, self.serial)
    }

    /// Identifies the task among all tasks of its runtime: the registry's index and the key there.
    pub(crate) fn address(&self) -> u64 {
        (u64::from(self.registry.index()) << 32) | u64::from(self.key)
    }

    #[inline]
    pub(crate) fn woken(&self) -> WakeStamp {
        WakeStamp(self.woken.load(Ordering::Relaxed))
    }

    /// By the thread that queues the task, which was woken `now`.
    #[inline]
    pub(crate) fn stamp_wake(&self, now: Instant, by_event: bool, account: Account) {
        let stamp = WakeStamp::new(now, by_event, account);
        self.woken.store(stamp.0, Ordering::Relaxed);
    }
}

impl WakeStamp {
    /// Of something that happens `now` to no task.
    pub(crate) fn at(now: Instant) -> WakeStamp {
        WakeStamp::new(now, false, Account::NONE)
    }

    #[inline]
    pub(crate) fn new(now: Instant, by_event: bool, account: Account) -> WakeStamp {
        let account = u64::from(account.bits()) << 1;
        WakeStamp(now.as_nanos() << TIME_SHIFT | account | u64::from(by_event))
    }

    /// How long before `now` it was, in nanoseconds; zero if it was not before.
    #[inline]
    pub(crate) fn nanos_until(self, now: Instant) -> u64 {
        let passed = (now.as_nanos() << TIME_SHIFT).wrapping_sub(self.0 & TIME) as i64;
        (passed >> TIME_SHIFT).max(0) as u64
    }

    /// What the time of the task is charged to.
    #[inline]
    pub(crate) fn account(self) -> Account {
        Account::from_bits((self.0 >> 1) as u16 & ACCOUNT)
    }

    /// As a number, and of one.
    #[inline]
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> WakeStamp {
        WakeStamp(bits)
    }

    /// Whether an event from outside woke the task, and not another task, a timer or a thread.
    pub(crate) fn by_event(self) -> bool {
        self.0 & BY_EVENT != 0
    }
}

/// Set in a stamp while an event's waker woke the task.
const BY_EVENT: u64 = 1;
/// Of a stamp without [`BY_EVENT`].
const ACCOUNT: u16 = (1 << Account::BITS) - 1;
const TIME_SHIFT: u32 = Account::BITS + 1;
const TIME: u64 = !0 << TIME_SHIFT;

/// Owns the registries of tests, which have no pool.
#[cfg(test)]
pub(crate) struct NoOwner;

#[cfg(test)]
impl Withdraw for NoOwner {}

#[cfg(test)]
impl Owner for NoOwner {
    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn run_inside(&self, code: &mut dyn FnMut()) {
        code();
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn stamp_keeps_the_account_and_tells_the_time_since() {
        let account = Account::shared("tenant");
        for origin in [0, 1 << 47, (1 << 48) - 5, 1 << 60] {
            let woken = Instant::from_nanos(origin);
            let stamp = WakeStamp::new(woken, true, account);
            assert_eq!((stamp.account(), stamp.by_event()), (account, true));
            assert_eq!(stamp.nanos_until(woken), 0);
            assert_eq!(stamp.nanos_until(Instant::from_nanos(origin + 7)), 7);
            let hour = Duration::from_secs(3_600);
            assert_eq!(u128::from(stamp.nanos_until(woken + hour)), hour.as_nanos());
            let later = WakeStamp::new(woken + hour, false, account);
            assert_eq!((later.nanos_until(woken), later.by_event()), (0, false));
        }
    }
}
