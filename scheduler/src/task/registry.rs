//! Every live task of a registry can be found here, to abort it, to name it, or to shut it down.
//!
//! There is one [`TaskRegistry`] a worker, some for tasks spawned off the workers and one for the blocking
//! pool, so that spawning on a worker takes a lock and a reference count that no other worker touches.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::Task;
use super::spawn_info::{Interner, SpawnInfo};
use crate::chunks::{self, Chunks};
use crate::mutant::{self, Mutant};
use crate::panics;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// Why a task was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The runtime is shutting down.
    ShuttingDown,
    /// The bound on live tasks, or on queued blocking work, is reached.
    Full { bound: usize },
    /// A thread was needed and could not be started.
    NoThread,
}

/// The pool that runs the tasks of a registry: opaque here, so that tasks do not know the pools.
pub(crate) trait Owner: Send + Sync {
    /// Takes a task that became runnable off the threads of the pool.
    fn schedule(&self, task: Task);

    /// Takes the task of this key and serial, which is aborted, out of a queue from which it would
    /// not be run before long, if it waits in one. What is taken is dropped at once.
    fn withdraw(&self, key: u32, serial: u32) -> Option<Task> {
        let _ = (key, serial);
        None
    }

    /// Runs `code` inside the runtime that this belongs to, if that still exists.
    fn run_inside(&self, code: &mut dyn FnMut());
}

/// Owns the registries of tests, which have no pool.
#[cfg(test)]
pub(crate) struct NoOwner;

#[cfg(test)]
impl Owner for NoOwner {
    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn run_inside(&self, code: &mut dyn FnMut()) {
        code();
    }
}

/// A registry of live tasks and the owner that runs them.
pub(crate) struct TaskRegistry {
    index: u32,
    bound: usize,
    owner: Arc<dyn Owner>,
    /// Where the owner is, to be compared: worked out once, since it takes a look at its type.
    owner_address: usize,
    /// Tasks that are flagged for abort and not yet dropped. Read before every poll; nearly always
    /// zero, and on a line that is otherwise only read. Raised by an aborter before its wake and
    /// read by whoever got the task through that wake, hence `Relaxed` is enough. Before the task
    /// first waits there is no such wake: then it looks once more, under the lock.
    aborting: AtomicUsize,
    panics: AtomicUsize,
    /// Tasks refused at the bound, and those of them that nothing waited for.
    refused: AtomicUsize,
    refused_detached: AtomicUsize,
    /// Holding this = the right to add, remove and flag tasks.
    table: Mutex<Table>,
    /// Told when the last task leaves a closed table.
    emptied: Condvar,
}

struct Table {
    entries: Chunks<Entry>,
    infos: Interner,
    /// The keys of tasks that were flagged for abort.
    aborted: HashSet<u32>,
    next_serial: u32,
    spawned: u64,
    /// Tasks that had not finished and were dropped since it was closed.
    dropped: u64,
    closed: bool,
}

struct Entry {
    /// One that wakes nobody until the task first waits; see [`Registration::keep_waker`].
    waker: Waker,
    serial: u32,
    /// As [`Interner`] knows it.
    info: u32,
}

/// Each task has one: it is part of what an idle connection takes.
const _: () = assert!(Chunks::<Entry>::PLACE_BYTES <= 24);

/// What a task is admitted with.
pub(crate) struct Admission {
    pub(super) registration: Registration,
    /// Tells the task from all others that have the same place at other times.
    pub(super) serial: u32,
}

/// A task's place in its registry; dropped with the future, which frees the place.
pub(crate) struct Registration {
    registry: Arc<TaskRegistry>,
    key: u32,
    /// The registry has the task's waker.
    attached: bool,
    /// The task has given its output, or panicked.
    finished: bool,
}

/// A task that was not taken; for its join handle. Boxed, as it is rare and a handle is small.
pub(crate) struct Refused(Box<RefusedTask>);

struct RefusedTask {
    refusal: Refusal,
    info: SpawnInfo,
    registry: Arc<TaskRegistry>,
}

impl TaskRegistry {
    pub(crate) fn new(index: u32, bound: usize, owner: Arc<dyn Owner>) -> Arc<Self> {
        Arc::new(TaskRegistry {
            index,
            bound,
            owner_address: Arc::as_ptr(&owner).cast::<()>().addr(),
            owner,
            aborting: AtomicUsize::new(0),
            panics: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            refused_detached: AtomicUsize::new(0),
            table: Mutex::new(Table {
                entries: Chunks::new(),
                infos: Interner::default(),
                aborted: HashSet::new(),
                next_serial: 0,
                spawned: 0,
                dropped: 0,
                closed: false,
            }),
            emptied: Condvar::new(),
        })
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// How many tasks may live here.
    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    pub(crate) fn owner(&self) -> &Arc<dyn Owner> {
        &self.owner
    }

    /// Whether the owner is what is at `address`.
    #[inline]
    pub(crate) fn is_owned_by(&self, address: *const ()) -> bool {
        self.owner_address == address.addr()
    }

    /// Takes a place for a task that is about to be built.
    pub(crate) fn admit(registry: &Arc<Self>, info: &SpawnInfo) -> Result<Admission, Refused> {
        TaskRegistry::try_admit(registry, info)
            .map_err(|refusal| Refused::new(registry, info, refusal))
    }

    /// As [`admit`](TaskRegistry::admit), by a caller that may try another registry.
    pub(crate) fn try_admit(registry: &Arc<Self>, info: &SpawnInfo) -> Result<Admission, Refusal> {
        let mut table = registry.table.lock();
        if table.closed {
            return Err(Refusal::ShuttingDown);
        }
        if table.entries.len() >= registry.bound {
            return Err(Refusal::Full { bound: registry.bound });
        }
        let serial = table.next_serial;
        table.next_serial = serial.wrapping_add(1);
        table.spawned += 1;
        let info = table.infos.add(info);
        let key = table.entries.insert(Entry { waker: Waker::noop().clone(), serial, info });
        drop(table);
        let key = u32::try_from(key).expect("the bound on live tasks fits in 32 bits");
        let registration =
            Registration { registry: Arc::clone(registry), key, attached: false, finished: false };
        Ok(Admission { registration, serial })
    }

    /// Gives the place the waker of its task, which lives. False if the task is to be dropped.
    fn attach(&self, key: u32, waker: &Waker) -> bool {
        let kept = waker.clone();
        let (aborted, closed) = {
            let mut table = self.table.lock();
            if let Some(entry) = table.entries.get_mut(key as usize) {
                entry.waker = kept;
            }
            (!table.aborted.is_empty() && table.aborted.contains(&key), table.closed)
        };
        if closed && !mutant::on(Mutant::WaitsThroughClosing) {
            // `wake_all` may have come by. Then the pool closes, too, and drops what is queued.
            waker.wake_by_ref();
        }
        !aborted || mutant::on(Mutant::WaitsUnflagged)
    }

    /// Flags a task, to be dropped instead of polled, and wakes it. False if it has ended.
    pub(crate) fn abort(&self, key: u32, serial: u32) -> bool {
        let waker = {
            let mut table = self.table.lock();
            let entry = table.entries.get(key as usize).filter(|entry| entry.serial == serial);
            let Some(waker) = entry.map(|entry| entry.waker.clone()) else { return false };
            if table.aborted.insert(key) && !mutant::on(Mutant::AbortUncounted) {
                self.aborting.fetch_add(1, Ordering::Relaxed);
            }
            waker
        };
        // Without the lock: a wake may drop the task, which comes back here, and so does dropping it.
        waker.wake();
        drop(self.owner.withdraw(key, serial));
        true
    }

    /// Whether the task at `key` was flagged. One load where nobody aborts.
    #[inline]
    pub(crate) fn aborted(&self, key: u32) -> bool {
        self.aborting.load(Ordering::Relaxed) > 0 && self.is_flagged(key)
    }

    #[cold]
    fn is_flagged(&self, key: u32) -> bool {
        self.table.lock().aborted.contains(&key)
    }

    /// Who the task at `key` is, while it lives.
    pub(crate) fn spawn_info(&self, key: u32) -> Option<SpawnInfo> {
        let table = self.table.lock();
        table.entries.get(key as usize).map(|entry| table.infos.at(entry.info).clone())
    }

    pub(crate) fn alive(&self) -> usize {
        self.table.lock().entries.len()
    }

    /// A task that was admitted has been refused after all.
    pub(crate) fn take_back_spawned(&self, refusal: Refusal) {
        let mut table = self.table.lock();
        table.spawned -= 1;
        if refusal == Refusal::ShuttingDown {
            // The registry was closed before its pool, so the task counted as dropped.
            table.dropped -= 1;
        }
    }

    pub(crate) fn spawned(&self) -> u64 {
        self.table.lock().spawned
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed) as u64
    }

    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Tasks refused at the bound.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed) as u64
    }

    /// After [`close`](TaskRegistry::close): how many unfinished tasks were dropped since, and how many
    /// still live. Each task that lived then has finished or is in one of the two.
    pub(crate) fn dropped_and_left(&self) -> (usize, usize) {
        let table = self.table.lock();
        (table.dropped as usize, table.entries.len())
    }

    /// Refuses tasks from now on.
    pub(crate) fn close(&self) {
        self.table.lock().closed = true;
    }

    /// Wakes every live task, so that a closed scheduler drops it.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> = {
            let table = self.table.lock();
            table.entries.iter().map(|(_, entry)| entry.waker.clone()).collect()
        };
        // Without the lock: each wake may drop a task, which comes back here.
        for waker in wakers {
            waker.wake();
        }
    }

    /// Waits until no task lives or `timeout` has passed; true if none lives.
    pub(crate) fn wait_empty(&self, timeout: Duration) -> bool {
        // Wall time: what is waited for are threads. No deadline is one that never comes.
        let deadline = std::time::Instant::now().checked_add(timeout);
        let mut table = self.table.lock();
        while !table.entries.is_empty() {
            let left = deadline.map_or(timeout, |deadline| {
                deadline.saturating_duration_since(std::time::Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            self.emptied.wait_for(&mut table, left);
        }
        true
    }

    fn remove(&self, key: u32, finished: bool) {
        let entry = {
            let mut table = self.table.lock();
            table.dropped += u64::from(table.closed && !finished);
            let entry = table.entries.remove(key as usize);
            // Hashing costs more than asking whether there is anything to find.
            if !table.aborted.is_empty() && table.aborted.remove(&key) {
                self.aborting.fetch_sub(1, Ordering::Relaxed);
                let aborted = &mut table.aborted;
                if let Some(capacity) = chunks::trimmed(aborted.len(), aborted.capacity()) {
                    aborted.shrink_to(capacity);
                }
            }
            if table.closed && table.entries.is_empty() {
                self.emptied.notify_all();
            }
            (table.infos.remove(entry.info), entry)
        };
        // The waker may hold the last reference to the task's memory: drop it without the lock.
        drop(entry);
    }
}

impl Registration {
    pub(crate) fn registry(&self) -> &Arc<TaskRegistry> {
        &self.registry
    }

    pub(crate) fn key(&self) -> u32 {
        self.key
    }

    /// The task goes to wait: from the first time on its registry has its waker, for whoever aborts it
    /// or shuts it down. False if it was flagged before that, so that nobody would wake it.
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

    /// Counts and logs a panic of this task.
    pub(crate) fn report_panic(&self, during: &str, payload: &(dyn Any + Send)) {
        self.registry.count_panic();
        let Some(info) = self.registry.spawn_info(self.key) else { return };
        panics::log(|| {
            tracing::error!(
                task = info.name(),
                spawned_at = %info.location,
                during,
                message = panics::message(payload),
                "task panicked"
            );
        });
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.remove(self.key, self.finished);
    }
}

impl Refused {
    /// Relaxed, as below: the counts are statistics.
    #[cold]
    pub(crate) fn new(registry: &Arc<TaskRegistry>, info: &SpawnInfo, refusal: Refusal) -> Refused {
        if matches!(refusal, Refusal::Full { .. }) {
            registry.refused.fetch_add(1, Ordering::Relaxed);
        }
        Refused(Box::new(RefusedTask {
            refusal,
            info: info.clone(),
            registry: Arc::clone(registry),
        }))
    }

    pub(crate) fn refusal(&self) -> Refusal {
        self.0.refusal
    }

    /// Nothing waits for the task, so only the log can tell. Logged whenever the number of such
    /// tasks has doubled, so that a flood of them is not followed by one of lines.
    pub(crate) fn detach(self) {
        let RefusedTask { refusal, info, registry } = *self.0;
        if refusal == Refusal::ShuttingDown {
            return;
        }
        let count = registry.refused_detached.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            panics::log(|| {
                tracing::error!(
                    task = info.name(),
                    spawned_at = %info.location,
                    reason = %refusal,
                    count,
                    "a task was refused and nothing waits for it: raise the bound, or await its \
                     handle and handle the error"
                );
            });
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::ShuttingDown => f.write_str("the runtime is shutting down"),
            Refusal::Full { bound } => write!(f, "the bound of {bound} is reached"),
            Refusal::NoThread => f.write_str("no thread could be started for it"),
        }
    }
}
