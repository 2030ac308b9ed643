//! Every live task can be found in a registry, to abort it, to name it, or to shut it down.
//!
//! There is one [`Registry`] a worker, some for tasks spawned off the workers and one for the
//! blocking pools, so that spawning on a worker takes a lock and a reference count that no other
//! worker touches.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::refusal::Refusal;
use super::spawn_info::{Interner, SpawnInfo};
use crate::chunks::{self, Chunks};
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// A table of live tasks and the owner that runs them.
///
/// | atomic | written by | ordering |
/// |---|---|---|
/// | `aborting` | an abort, under the lock and before its wake; the drop of a flagged task, under the lock | Relaxed: the wake that hands the task to its worker orders the raise before the worker's read. Before the task first waits there is no such wake; then `Registration::keep_waker` looks once more, under the lock |
/// | `panics`, `refused`, `refused_detached` | any thread, by `fetch_add` | Relaxed: statistics, which publish nothing |
pub(crate) struct Registry<O: ?Sized> {
    index: u32,
    bound: usize,
    owner: Arc<O>,
    /// Where the owner is, to be compared: computed once, as `dyn` makes the address a look-up.
    owner_address: usize,
    /// Tasks that are flagged for abort and not yet dropped. Read before every poll; nearly always
    /// zero, and on a line that is otherwise only read.
    aborting: AtomicUsize,
    panics: AtomicUsize,
    /// Tasks refused at the bound.
    refused: AtomicUsize,
    /// Tasks refused whose handle was dropped unread.
    refused_detached: AtomicUsize,
    /// Holding this = the right to add, remove and flag tasks.
    table: Mutex<Table>,
    /// Notified when the last task leaves a closed table.
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
    /// A waker that does nothing until the task first waits; see `Registration::keep_waker`.
    waker: Waker,
    serial: u32,
    /// The number that [`Interner`] gave its spawn info.
    info: u32,
}

/// Each task has one: it is part of the memory of an idle connection.
const _: () = assert!(Chunks::<Entry>::PLACE_BYTES <= 24);

/// A queue out of which an aborted task is taken.
pub(crate) trait Withdraw {
    /// Drops the aborted task of this key and serial, if it waits in a queue that may not reach it
    /// soon.
    fn withdraw(&self, key: u32, serial: u32) {
        let _ = (key, serial);
    }
}

impl<O: Withdraw + ?Sized> Registry<O> {
    pub(crate) fn new(index: u32, bound: usize, owner: Arc<O>) -> Arc<Self> {
        Arc::new(Registry {
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

    pub(crate) fn owner(&self) -> &Arc<O> {
        &self.owner
    }

    /// Whether the owner is what is at `address`.
    #[inline]
    pub(crate) fn is_owned_by(&self, address: *const ()) -> bool {
        self.owner_address == address.addr()
    }

    /// Reserves an entry for a task: its key, and the serial that tells it from all other tasks that
    /// have the same key at other times.
    pub(super) fn insert(&self, info: &SpawnInfo) -> Result<(u32, u32), Refusal> {
        let mut table = self.table.lock();
        if table.closed {
            return Err(Refusal::ShuttingDown);
        }
        if table.entries.len() >= self.bound {
            return Err(Refusal::Full { bound: self.bound });
        }
        let serial = table.next_serial;
        table.next_serial = serial.wrapping_add(1);
        table.spawned += 1;
        let info = table.infos.add(info);
        let key = table.entries.insert(Entry { waker: Waker::noop().clone(), serial, info });
        let key = u32::try_from(key).expect("the bound on live tasks fits in 32 bits");
        Ok((key, serial))
    }

    /// Stores the waker of a live task in its entry. False if the task is to be dropped.
    ///
    /// Once a task: out of line, so that the check before it is inlined into each poll.
    #[inline(never)]
    pub(super) fn attach(&self, key: u32, waker: &Waker) -> bool {
        let kept = waker.clone();
        let (aborted, closed) = {
            let mut table = self.table.lock();
            if let Some(entry) = table.entries.get_mut(key as usize) {
                entry.waker = kept;
            }
            (!table.aborted.is_empty() && table.aborted.contains(&key), table.closed)
        };
        if closed && !mutant::on(Mutant::WaitsThroughClosing) {
            // `wake_all` may have passed this entry already. Then the pool closes too, and drops what
            // is queued.
            waker.wake_by_ref();
        }
        !aborted || mutant::on(Mutant::WaitsUnflagged)
    }

    /// Whether the task lives.
    pub(super) fn contains(&self, key: u32, serial: u32) -> bool {
        let table = self.table.lock();
        table.entries.get(key as usize).is_some_and(|entry| entry.serial == serial)
    }

    /// Flags a task, to be dropped instead of polled, and wakes it. False if it has ended.
    pub(crate) fn abort(&self, key: u32, serial: u32) -> bool {
        let waker = {
            let mut table = self.table.lock();
            let entry = table.entries.get(key as usize).filter(|entry| entry.serial == serial);
            let Some(waker) = entry.map(|entry| entry.waker.clone()) else { return false };
            if table.aborted.insert(key) && !mutant::on(Mutant::AbortUncounted) {
                // Relaxed: the wake below orders it before the worker's read in `aborted`.
                self.aborting.fetch_add(1, Ordering::Relaxed);
            }
            waker
        };
        // Without the lock: a wake may drop the task, which locks the table, and so does dropping it.
        waker.wake();
        self.owner.withdraw(key, serial);
        true
    }

    /// Whether the task at `key` was flagged. One load while no abort is pending.
    #[inline]
    pub(crate) fn aborted(&self, key: u32) -> bool {
        // Relaxed: ordered by the wake that came with the abort; see the table above.
        self.aborting.load(Ordering::Relaxed) > 0 && self.is_flagged(key)
    }

    #[cold]
    fn is_flagged(&self, key: u32) -> bool {
        self.table.lock().aborted.contains(&key)
    }

    /// What the task at `key` was spawned as, while it lives.
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
        // Relaxed here and below: statistics.
        self.panics.load(Ordering::Relaxed) as u64
    }

    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Tasks refused at the bound.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed) as u64
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refused task whose handle was dropped unread; how many there are.
    pub(super) fn count_refused_detached(&self) -> usize {
        self.refused_detached.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// After [`close`](Registry::close): how many unfinished tasks were dropped since, and how
    /// many still live. Each task that lived then has finished or is in one of the two.
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
        // Without the lock: each wake may drop a task, which locks the table.
        for waker in wakers {
            waker.wake();
        }
    }

    /// Waits until no task lives or `timeout` has passed; true if none lives.
    pub(crate) fn wait_empty(&self, timeout: Duration) -> bool {
        // Wall time: the wait is for threads. A deadline that overflows never comes.
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

    /// Frees the entry of a task whose future is gone.
    pub(super) fn remove(&self, key: u32, finished: bool) {
        let entry = {
            let mut table = self.table.lock();
            table.dropped += u64::from(table.closed && !finished);
            let entry = table.entries.remove(key as usize);
            // The check for emptiness costs less than hashing.
            if !table.aborted.is_empty() && table.aborted.remove(&key) {
                // Relaxed: a worker that still reads the old value looks into `aborted`, under the lock.
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
