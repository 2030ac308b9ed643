//! What a command sees of the store: the shards of its keys, locked.

use heist::time::Instant;
use parking_lot::MutexGuard;
use smallvec::SmallVec;

use super::shard::{Entry, Shard};
use super::value::{Kind, Value, WrongType};
use super::{SHARDS, Store};

/// The locks of a command or transaction. What has expired at [`now`](Held::now) is not there.
pub(crate) struct Held<'a> {
    store: &'a Store,
    /// In ascending order.
    guards: Guards<'a>,
    now: Instant,
}

pub(super) type Guards<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 1]>;

impl<'a> Held<'a> {
    pub(super) fn new(store: &'a Store, guards: Guards<'a>, now: Instant) -> Held<'a> {
        Held { store, guards, now }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// The time at `instant`, in milliseconds since 1970.
    pub(crate) fn unix_millis(&self, instant: Instant) -> u64 {
        self.store.unix_origin + instant.as_nanos() / 1_000_000
    }

    pub(crate) fn value(&mut self, key: &[u8]) -> Option<&Value> {
        let now = self.now;
        self.shard(key).live(key, now).map(|entry| &entry.value)
    }

    /// The value at `key`, if it is of the kind asked for.
    pub(crate) fn read<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&K>, WrongType> {
        self.value(key).map(K::of).transpose()
    }

    /// As [`read`](Held::read), to be changed. What is empty afterwards is to be given to
    /// [`remove_if_empty`](Held::remove_if_empty).
    pub(crate) fn modify<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&mut K>, WrongType> {
        let now = self.now;
        let entry = self.shard(key).live_mut(key, now);
        entry.map(|entry| K::of_mut(&mut entry.value)).transpose()
    }

    /// As [`modify`](Held::modify), and makes an empty value if there is none.
    pub(crate) fn modify_or_new<K: Kind>(&mut self, key: &[u8]) -> Result<&mut K, WrongType> {
        let now = self.now;
        K::of_mut(&mut self.shard(key).live_or_insert(key, now, K::empty).value)
    }

    /// Puts `value` at `key`, for ever, instead of what was there.
    pub(crate) fn put(&mut self, key: &[u8], value: Value) {
        self.shard(key).put(key, value);
    }

    /// Puts text at `key` as [`put`](Held::put) does; where text was, its memory is used again.
    pub(crate) fn put_text(&mut self, key: &[u8], text: &[u8]) {
        self.shard(key).put_text(key, text);
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Value> {
        self.take(key).map(|entry| entry.value)
    }

    /// No key has an empty list, hash or set.
    pub(crate) fn remove_if_empty(&mut self, key: &[u8]) {
        if self.value(key).is_some_and(Value::is_empty_collection) {
            self.remove(key);
        }
    }

    /// Moves all there is at a key to another one, in place of what was there; whether there was
    /// anything.
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        let Some(entry) = self.take(from) else { return false };
        self.put(to, entry.value);
        self.set_expiry(to, entry.expires);
        true
    }

    /// When `key` expires, if it is there and does so.
    pub(crate) fn expiry(&mut self, key: &[u8]) -> Option<Instant> {
        let now = self.now;
        self.shard(key).live(key, now)?.expires
    }

    /// Whether `key` is there, and now expires at that time.
    pub(crate) fn set_expiry(&mut self, key: &[u8], expires: Option<Instant>) -> bool {
        let now = self.now;
        self.shard(key).set_expiry(key, now, expires)
    }

    /// A number that changes whenever what is at `key` does; 0 where nothing is.
    pub(crate) fn version(&mut self, key: &[u8]) -> u64 {
        let now = self.now;
        self.shard(key).live(key, now).map_or(0, |entry| entry.version)
    }

    /// Keys in the shards held, those that expired and were not swept yet included.
    pub(crate) fn len(&self) -> usize {
        self.guards.iter().map(|(_, shard)| shard.len()).sum()
    }

    pub(crate) fn clear(&mut self) {
        for (_, shard) in &mut self.guards {
            shard.clear();
        }
    }

    /// All keys in the shards held.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&[u8], &Value)> {
        self.guards.iter().flat_map(|(_, shard)| shard.iter(self.now))
    }

    /// The shards held.
    pub(crate) fn shards(&self) -> impl Iterator<Item = usize> {
        self.guards.iter().map(|(shard, _)| *shard)
    }

    /// How many places the shard has.
    pub(crate) fn shard_len(&self, shard: usize) -> usize {
        self.guards[shard].1.len()
    }

    /// A few keys of one shard below `index`, counted downwards; for SCAN.
    pub(crate) fn below(
        &self,
        shard: usize,
        index: usize,
        count: usize,
    ) -> impl Iterator<Item = (usize, &[u8], &Value)> {
        let (_, shard) = &self.guards[shard];
        shard.below(index, count, self.now)
    }

    fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let now = self.now;
        self.shard(key).remove(key, now)
    }

    fn shard(&mut self, key: &[u8]) -> &mut Shard {
        let place = match self.guards.len() {
            // The one shard of a command with one key.
            1 => 0,
            SHARDS => self.store.shard_of(key),
            _ => {
                let shard = self.store.shard_of(key);
                let place = self.guards.binary_search_by_key(&shard, |(shard, _)| *shard);
                place.expect("a command uses only the keys that its entry in the table names")
            }
        };
        debug_assert_eq!(self.guards[place].0, self.store.shard_of(key));
        &mut self.guards[place].1
    }
}
