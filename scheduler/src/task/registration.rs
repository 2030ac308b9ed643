//! The entry of one live task in its registry, as the task holds it.

use std::sync::Arc;
use std::task::Waker;

use super::cell::TaskRegistry;
use super::refusal::Refusal;
use super::refused::Refused;
use super::spawn_info::SpawnInfo;
use crate::fair::Account;

/// What a task is admitted with.
pub(crate) struct Admission {
    pub(super) registration: Registration,
    /// Tells the task from all others that have the same key at other times.
    pub(super) serial: u32,
    /// What its time is charged to.
    pub(super) account: Account,
}

/// A task's entry in its registry; dropped with the future, which frees the entry.
pub(crate) struct Registration {
    registry: Arc<TaskRegistry>,
    key: u32,
    /// The registry has the task's waker.
    attached: bool,
    /// The task has given its output, or panicked.
    finished: bool,
}

impl TaskRegistry {
    /// Reserves an entry for a task that is about to be built.
    pub(crate) fn admit(
        registry: &Arc<Self>,
        info: &SpawnInfo,
        account: Account,
    ) -> Result<Admission, Refused> {
        TaskRegistry::try_admit(registry, info, account)
            .map_err(|refusal| Refused::new(registry, info, refusal))
    }

    /// As [`admit`](TaskRegistry::admit), for a caller that may try another registry.
    pub(crate) fn try_admit(
        registry: &Arc<Self>,
        info: &SpawnInfo,
        account: Account,
    ) -> Result<Admission, Refusal> {
        let (key, serial) = registry.insert(info)?;
        let registry = Arc::clone(registry);
        let registration = Registration { registry, key, attached: false, finished: false };
        Ok(Admission { registration, serial, account })
    }
}

impl Registration {
    pub(crate) fn registry(&self) -> &Arc<TaskRegistry> {
        &self.registry
    }

    pub(crate) fn key(&self) -> u32 {
        self.key
    }

    /// The task begins to wait. From the first time on its registry has its waker, for an abort or a
    /// shutdown. False if the task was flagged before that, when the registry had no waker to call.
    ///
    /// Not before it is scheduled: most tasks that end in their first poll need no waker, and until
    /// then a task is in a queue, from which it is polled or dropped without being woken.
    #[inline]
    #[must_use = "a task that was flagged has to be dropped instead"]
    pub(crate) fn keep_waker(&mut self, waker: &Waker) -> bool {
        std::mem::replace(&mut self.attached, true) || self.registry.attach(self.key, waker)
    }

    /// Whether the task is to be dropped instead of polled.
    #[inline]
    pub(crate) fn aborted(&self) -> bool {
        self.registry.aborted(self.key)
    }

    /// The task has given its output, or panicked: it does not count as dropped.
    pub(crate) fn set_finished(&mut self) {
        self.finished = true;
    }

    /// Counts a panic of this task; what to call the task in the log.
    pub(crate) fn count_panic(&self) -> Option<SpawnInfo> {
        self.registry.count_panic();
        self.registry.spawn_info(self.key)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.remove(self.key, self.finished);
    }
}
