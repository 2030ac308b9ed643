//! The data: shared by all connections, whichever worker runs them.
//!
//! It is cut into shards by the hash of the key, each behind a lock of its own, so that commands on
//! different keys seldom meet. What is atomic follows from one rule: **a command runs while it
//! holds the locks of all shards that its keys fall into, taken in ascending order.** So
//!
//! - each command is atomic, also one with many keys (`MSET`, `RENAME`, `SUNION`);
//! - so is a transaction: `EXEC` takes the locks of all its commands and of all keys watched before
//!   it begins. Unlike Redis, another connection may run in the meantime, but on other shards;
//! - a command on the whole keyspace (`FLUSHALL`, `KEYS`) takes every lock, and all others wait;
//! - nothing can deadlock, since nobody waits for a lock with a lower number than one it holds;
//! - each connection's commands run in order, but two connections agree on an order only through
//!   keys that they share.
//!
//! A lock is held for the length of a command, not across a wait, so an ordinary mutex will do: at
//! worst a worker waits for another one's `KEYS`.

mod held;
mod shard;
mod sorted;
mod value;

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use heist::time::Instant;
use parking_lot::Mutex;
use smallvec::SmallVec;

pub(crate) use held::Held;
use shard::Shard;
pub(crate) use sorted::Sorted;
pub(crate) use value::{Bytes, Hash, List, Set, WrongType};

/// All keys.
pub(crate) struct Store {
    shards: Box<[Mutex<Shard>]>,
    /// Keyed with a secret of this process: nobody can make keys that fall into one shard.
    hasher: RandomState,
    /// The time at [`Instant::ZERO`], in milliseconds since 1970.
    unix_origin: u64,
}

impl Store {
    pub(crate) fn new(now: Instant) -> Store {
        let hasher = RandomState::new();
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(hasher.clone()))).collect();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_origin = (unix.as_millis() as u64).saturating_sub(now.as_nanos() / 1_000_000);
        Store { shards, hasher, unix_origin }
    }

    /// Locks all that `keys` fall into.
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
        Held::new(self, guards, now)
    }

    /// Locks everything.
    pub(crate) fn hold_all(&self, now: Instant) -> Held<'_> {
        let guards = self.shards.iter().map(Mutex::lock).enumerate().collect();
        Held::new(self, guards, now)
    }

    /// Removes what has expired and was not asked for since: some of each shard, so that no lock is
    /// held for long. Whether there is more.
    pub(crate) fn sweep(&self, now: Instant) -> bool {
        let mut more = false;
        for shard in &self.shards {
            more |= shard.lock().sweep(now, SWEEP);
        }
        more
    }

    fn shard_of(&self, key: &[u8]) -> usize {
        // The low bits choose the place within a shard.
        (self.hasher.hash_one(key) >> 32) as usize % SHARDS
    }
}

/// Few enough to lock them all in a microsecond, many enough for two workers to meet seldom.
const SHARDS: usize = 64;

/// How many expired keys are removed under one lock.
const SWEEP: usize = 100;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::value::Value;
    use super::*;

    const NOW: Instant = Instant::from_nanos(1_000_000_000);

    #[test]
    fn shards_are_locked_once_each_and_in_order() {
        let store = Store::new(NOW);
        let keys: Vec<String> = (0..1000).map(|index| format!("key:{index}")).collect();
        let held = store.hold(NOW, keys.iter().rev().map(String::as_bytes));
        assert_eq!(held.shards().collect::<Vec<_>>(), (0..SHARDS).collect::<Vec<_>>());
    }

    #[test]
    fn sweep_removes_what_nobody_asks_for() {
        let store = Store::new(NOW);
        let keys: Vec<String> = (0..1000).map(|index| format!("key:{index}")).collect();
        let mut held = store.hold_all(NOW);
        for key in &keys {
            held.put(key.as_bytes(), Value::Text(b"x".to_vec()));
            held.set_expiry(key.as_bytes(), Some(NOW + Duration::from_secs(1)));
        }
        held.put(b"for ever", Value::Text(b"x".to_vec()));
        drop(held);
        let later = NOW + Duration::from_secs(2);
        store.sweep(NOW);
        // At the old time, nothing is hidden by being late.
        assert_eq!(store.hold_all(NOW).len(), 1001);
        while store.sweep(later) {}
        assert_eq!(store.hold_all(NOW).len(), 1);
    }
}
