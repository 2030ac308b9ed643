//! The data: shared by all connections, whichever worker runs them.
//!
//! It is cut into shards by the hash of the key, each behind a lock of its own, so that commands on
//! different keys seldom meet. What is atomic follows from one rule: **a command runs while it
//! holds the locks of all shards that its keys fall into, taken in ascending order.** So
//!
//! - each command is atomic, also one with many keys (`MSET`, `RENAME`);
//! - so is a transaction: `EXEC` takes the locks of all its commands and of all watched keys before
//!   it begins. Unlike Redis, another connection may run in the meantime, but on other shards;
//! - a command on the whole keyspace (`FLUSHALL`, `KEYS`) takes every lock, and all others wait;
//! - no deadlock is possible: no thread waits for a lock with a lower number than one it holds;
//! - each connection's commands run in order, but two connections agree on an order only through
//!   keys that they share.
//!
//! A lock is held for the length of a command, not across a wait, so an ordinary mutex will do.

mod shard;
mod sorted;
mod value;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ahash::RandomState;
use heist::time::Instant;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use shard::{Shard, Slot};
pub(crate) use sorted::Sorted;
pub(crate) use value::{Hash, Kind, List, Set, Text, WrongType};

/// All keys.
pub(crate) struct Store {
    shards: Box<[Mutex<Shard>]>,
    /// Keyed with a secret of this process: no client can make keys that fall into one shard.
    hasher: RandomState,
    /// The wall clock at [`Instant::ZERO`], in milliseconds since 1970. Relaxed: it is set alone.
    unix_origin: AtomicI64,
}

impl Store {
    pub(crate) fn new(now: Instant) -> Store {
        let hasher = RandomState::new();
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(hasher.clone()))).collect();
        let store = Store { shards, hasher, unix_origin: AtomicI64::new(0) };
        store.follow_clock(now);
        store
    }

    /// Locks the shards of `keys`.
    pub(crate) fn hold<'k>(
        &self,
        now: Instant,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) -> Held<'_> {
        let mut shards: SmallVec<[usize; 8]> =
            keys.into_iter().map(|key| self.shard_of(key)).collect();
        if shards.len() > 1 {
            shards.sort_unstable();
            shards.dedup();
        }
        let guards = shards.iter().map(|&shard| (shard, self.shards[shard].lock())).collect();
        Held { store: self, guards, now: self.unix_millis(now) }
    }

    /// Locks everything.
    pub(crate) fn hold_all(&self, now: Instant) -> Held<'_> {
        let guards = self.shards.iter().map(Mutex::lock).enumerate().collect();
        Held { store: self, guards, now: self.unix_millis(now) }
    }

    /// Ends what [`Slot::watch`] began. Takes one lock at a time: call it without any.
    pub(crate) fn unwatch(&self, key: &[u8], changed: &Arc<AtomicBool>) {
        self.shards[self.shard_of(key)].lock().unwatch(key, changed);
    }

    /// Removes expired keys that no command asked for: some of each shard, so that no lock is held
    /// for long. Whether there are more.
    pub(crate) fn sweep(&self, now: Instant) -> bool {
        self.follow_clock(now);
        let now = self.unix_millis(now);
        self.shards.iter().filter(|shard| shard.lock().sweep(now, SWEEP)).count() > 0
    }

    /// Takes over what was set since, by hand or from the network.
    fn follow_clock(&self, now: Instant) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let origin = unix.as_millis() as i64 - (now.as_nanos() / 1_000_000) as i64;
        self.unix_origin.store(origin, Ordering::Relaxed);
    }

    fn unix_millis(&self, now: Instant) -> i64 {
        self.unix_origin.load(Ordering::Relaxed) + (now.as_nanos() / 1_000_000) as i64
    }

    fn shard_of(&self, key: &[u8]) -> usize {
        // The low bits choose the place within a shard.
        (self.hasher.hash_one(key) >> 32) as usize % SHARDS
    }
}

/// What a command or a transaction sees of the store: the shards of its keys, locked. All of it runs
/// at one time, in milliseconds since 1970.
pub(crate) struct Held<'a> {
    store: &'a Store,
    /// In ascending order.
    guards: SmallVec<[(usize, MutexGuard<'a, Shard>); 1]>,
    pub(crate) now: i64,
}

impl Held<'_> {
    /// A key of the command.
    pub(crate) fn at<'h>(&'h mut self, key: &'h [u8]) -> Slot<'h> {
        let place = match self.guards.len() {
            // The one shard of a command with one key.
            1 => 0,
            SHARDS => self.store.shard_of(key),
            _ => {
                let shard = self.store.shard_of(key);
                let place = self.guards.binary_search_by_key(&shard, |(shard, _)| *shard);
                place.expect("a command uses only the keys that its row of the table names")
            }
        };
        debug_assert_eq!(self.guards[place].0, self.store.shard_of(key));
        Slot { key, shard: &mut self.guards[place].1, now: self.now }
    }

    /// How many keys there are; those that expired and were not swept yet count.
    pub(crate) fn len(&self) -> usize {
        self.guards.iter().map(|(_, shard)| shard.len()).sum()
    }

    pub(crate) fn clear(&mut self) {
        self.guards.iter_mut().for_each(|(_, shard)| shard.clear());
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.guards.iter().flat_map(|(_, shard)| shard.keys(self.now))
    }
}

/// Few enough to lock them all in a microsecond, many enough for two workers to meet seldom.
const SHARDS: usize = 64;

/// How many expired keys are removed under one lock.
const SWEEP: usize = 100;
