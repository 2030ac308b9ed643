//! One shard: keys, their values, when they expire, and which connections watch them.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ahash::RandomState;
use indexmap::IndexMap;

use super::value::{Bytes, Kind, Value, WrongType};

#[derive(Default)]
pub(super) struct Shard {
    /// In a vector with an index, so that a random key is found at once.
    entries: IndexMap<Bytes, Entry, RandomState>,
    /// The keys that expire, the earliest first.
    expiries: BTreeSet<(i64, Bytes)>,
    /// For each watched key, the flags of the connections that watch it.
    watchers: HashMap<Bytes, Vec<Arc<AtomicBool>>>,
}

pub(crate) struct Entry {
    value: Value,
    /// Milliseconds since 1970; the key is gone once this time is past.
    expires: Option<i64>,
}

impl Shard {
    pub(super) fn new(hasher: RandomState) -> Shard {
        Shard { entries: IndexMap::with_hasher(hasher), ..Shard::default() }
    }

    /// Removes up to `count` of the keys that have expired. Whether there may be more.
    pub(super) fn sweep(&mut self, now: i64, count: usize) -> bool {
        let next = |shard: &Shard| shard.expiries.first().filter(|(at, _)| *at < now).cloned();
        (0..count).all(|_| next(self).and_then(|(_, key)| self.remove(&key)).is_some())
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn clear(&mut self) {
        let watched = self.watchers.iter().filter(|(key, _)| self.entries.contains_key(*key));
        watched.flat_map(|(_, watchers)| watchers).for_each(set);
        self.entries.clear();
        self.expiries.clear();
    }

    /// The keys that have not expired.
    pub(super) fn keys(&self, now: i64) -> impl Iterator<Item = &[u8]> {
        let live = move |entry: &Entry| entry.expires.is_none_or(|expires| now <= expires);
        self.entries.iter().filter(move |(_, entry)| live(entry)).map(|(key, _)| &**key)
    }

    pub(super) fn unwatch(&mut self, key: &[u8], changed: &Arc<AtomicBool>) {
        let Some(watchers) = self.watchers.get_mut(key) else { return };
        watchers.retain(|watcher| !Arc::ptr_eq(watcher, changed));
        if watchers.is_empty() {
            self.watchers.remove(key);
        }
    }

    /// Where the entry of `key` is. An expired one is removed.
    fn place(&mut self, key: &[u8], now: i64) -> Option<usize> {
        let place = self.entries.get_index_of(key)?;
        if self.entries[place].expires.is_some_and(|expires| expires < now) {
            self.remove(key);
            return None;
        }
        Some(place)
    }

    fn live(&mut self, key: &[u8], now: i64) -> Option<&mut Entry> {
        self.place(key, now).map(|place| &mut self.entries[place])
    }

    fn put(&mut self, key: &[u8], entry: Entry) {
        let expires = entry.expires;
        let old = match self.entries.get_mut(key) {
            Some(place) => Some(mem::replace(place, entry)),
            None => self.entries.insert(key.into(), entry),
        };
        self.move_expiry(key, old.and_then(|old| old.expires), expires);
        self.touch(key);
    }

    fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.entries.swap_remove(key)?;
        self.move_expiry(key, entry.expires, None);
        self.touch(key);
        Some(entry)
    }

    fn move_expiry(&mut self, key: &[u8], from: Option<i64>, to: Option<i64>) {
        if let Some(from) = from {
            self.expiries.remove(&(from, key.into()));
        }
        self.expiries.extend(to.map(|to| (to, key.into())));
    }

    /// Tells the watchers of a change.
    fn touch(&self, key: &[u8]) {
        if !self.watchers.is_empty() {
            self.watchers.get(key).into_iter().flatten().for_each(set);
        }
    }
}

/// Relaxed: EXEC reads the flag under the locks of the watched keys, under which it was set.
fn set(changed: &Arc<AtomicBool>) {
    changed.store(true, Ordering::Relaxed);
}

/// A key, in its locked shard.
///
/// The connections that watch the key are told of each change. After a value was lent to be changed
/// and changed, [`modified`](Slot::modified) has to be called.
pub(crate) struct Slot<'h> {
    pub(super) key: &'h [u8],
    pub(super) shard: &'h mut Shard,
    pub(super) now: i64,
}

impl<'h> Slot<'h> {
    pub(crate) fn value(self) -> Option<&'h Value> {
        self.shard.live(self.key, self.now).map(|entry| &entry.value)
    }

    pub(crate) fn exists(self) -> bool {
        self.value().is_some()
    }

    /// The value, if it is of the kind asked for.
    pub(crate) fn read<K: Kind>(self) -> Result<Option<&'h K>, WrongType> {
        self.value().map(K::of).transpose()
    }

    /// As [`read`](Slot::read), to be changed.
    pub(crate) fn modify<K: Kind>(self) -> Result<Option<&'h mut K>, WrongType> {
        let entry = self.shard.live(self.key, self.now);
        entry.map(|entry| K::of_mut(&mut entry.value)).transpose()
    }

    /// As [`modify`](Slot::modify); makes an empty value if there is none.
    pub(crate) fn modify_or_new<K: Kind>(self) -> Result<&'h mut K, WrongType> {
        let place = match self.shard.place(self.key, self.now) {
            Some(place) => place,
            None => {
                let entry = Entry { value: K::empty(), expires: None };
                self.shard.entries.insert_full(self.key.into(), entry).0
            }
        };
        K::of_mut(&mut self.shard.entries[place].value)
    }

    /// Ends a change; a collection that is empty now is removed.
    pub(crate) fn modified(self, is_empty: bool) {
        match is_empty {
            true => drop(self.shard.remove(self.key)),
            false => self.shard.touch(self.key),
        }
    }

    /// Puts text here, without an expiry. The memory of the text before is used again.
    pub(crate) fn put_text(self, text: &[u8]) {
        match self.shard.entries.get_mut(self.key) {
            Some(Entry { value: Value::Text(old), expires: None })
                if old.capacity() <= 2 * text.len() =>
            {
                old.clear();
                old.extend_from_slice(text);
                self.shard.touch(self.key);
            }
            _ => self.put(Entry { value: Value::Text(text.to_vec()), expires: None }),
        }
    }

    pub(crate) fn put(self, entry: Entry) {
        self.shard.put(self.key, entry);
    }

    pub(crate) fn take(self) -> Option<Entry> {
        self.shard.live(self.key, self.now)?;
        self.shard.remove(self.key)
    }

    /// When the key expires, if it is there and does so.
    pub(crate) fn expiry(self) -> Option<i64> {
        self.shard.live(self.key, self.now)?.expires
    }

    /// Sets when the key expires, if it is there.
    pub(crate) fn set_expiry(self, expires: Option<i64>) {
        let Some(entry) = self.shard.entries.get_mut(self.key) else { return };
        let old = mem::replace(&mut entry.expires, expires);
        self.shard.move_expiry(self.key, old, expires);
        self.shard.touch(self.key);
    }

    /// Sets `changed` once the key changes, until [`Store::unwatch`](super::Store::unwatch).
    pub(crate) fn watch(self, changed: &Arc<AtomicBool>) {
        // A key that has expired before is removed now: that is no change.
        self.shard.live(self.key, self.now);
        self.shard.watchers.entry(self.key.into()).or_default().push(Arc::clone(changed));
    }
}
