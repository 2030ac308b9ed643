//! One shard: keys, their values, and when they expire.

use std::collections::BTreeSet;
use std::hash::RandomState;

use heist::time::Instant;
use indexmap::IndexMap;

use super::value::{Bytes, Value};

/// The keys that fall into it, in a vector with an index: so that a random one is found at once,
/// and SCAN can stop and go on.
pub(crate) struct Shard {
    entries: IndexMap<Bytes, Entry>,
    /// The keys that expire, the earliest first.
    expiries: BTreeSet<(Instant, Bytes)>,
    /// The version that was given to an entry last.
    version: u64,
}

pub(crate) struct Entry {
    pub(super) value: Value,
    pub(super) expires: Option<Instant>,
    /// Given anew whenever the entry may have changed; WATCH compares it.
    pub(super) version: u64,
}

impl Shard {
    pub(super) fn new(hasher: RandomState) -> Shard {
        Shard { entries: IndexMap::with_hasher(hasher), expiries: BTreeSet::new(), version: 0 }
    }

    /// The entry of `key`, unless it has expired.
    pub(super) fn live(&mut self, key: &[u8], now: Instant) -> Option<&Entry> {
        let index = self.find(key, now)?;
        Some(&self.entries[index])
    }

    /// As [`live`](Shard::live), to be changed.
    pub(super) fn live_mut(&mut self, key: &[u8], now: Instant) -> Option<&mut Entry> {
        let index = self.find(key, now)?;
        let version = self.next_version();
        let entry = &mut self.entries[index];
        entry.version = version;
        Some(entry)
    }

    pub(super) fn live_or_insert(
        &mut self,
        key: &[u8],
        now: Instant,
        value: impl FnOnce() -> Value,
    ) -> &mut Entry {
        let version = self.next_version();
        let index = match self.find(key, now) {
            Some(index) => index,
            None => {
                let entry = Entry { value: value(), expires: None, version };
                self.entries.insert_full(key.into(), entry).0
            }
        };
        let entry = &mut self.entries[index];
        entry.version = version;
        entry
    }

    pub(super) fn put(&mut self, key: &[u8], value: Value) {
        let version = self.next_version();
        let entry = Entry { value, expires: None, version };
        let old = match self.entries.get_mut(key) {
            Some(place) => Some(std::mem::replace(place, entry)),
            None => self.entries.insert(key.into(), entry),
        };
        self.forget_expiry(key, old.and_then(|old| old.expires));
    }

    pub(super) fn put_text(&mut self, key: &[u8], text: &[u8]) {
        let version = self.next_version();
        match self.entries.get_mut(key) {
            Some(Entry { value: Value::Text(old), expires: None, version: old_version })
                if old.capacity() <= 2 * text.len() =>
            {
                *old_version = version;
                old.clear();
                old.extend_from_slice(text);
            }
            _ => self.put(key, Value::Text(text.to_vec())),
        }
    }

    pub(super) fn remove(&mut self, key: &[u8], now: Instant) -> Option<Entry> {
        let index = self.find(key, now)?;
        Some(self.remove_at(index))
    }

    pub(super) fn set_expiry(
        &mut self,
        key: &[u8],
        now: Instant,
        expires: Option<Instant>,
    ) -> bool {
        let Some(entry) = self.live_mut(key, now) else { return false };
        let old = std::mem::replace(&mut entry.expires, expires);
        self.forget_expiry(key, old);
        if let Some(expires) = expires {
            self.expiries.insert((expires, key.into()));
        }
        true
    }

    /// Removes up to `count` of the keys that have expired. Whether there may be more.
    pub(super) fn sweep(&mut self, now: Instant, count: usize) -> bool {
        for _ in 0..count {
            match self.expiries.first() {
                Some((expires, _)) if *expires <= now => {}
                _ => return false,
            }
            let (_, key) = self.expiries.pop_first().expect("the first was looked at");
            self.entries.swap_remove(&key);
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.expiries.clear();
    }

    pub(super) fn iter(&self, now: Instant) -> impl Iterator<Item = (&[u8], &Value)> {
        self.below(self.len(), self.len(), now).map(|(_, key, value)| (key, value))
    }

    /// At most `count` entries below `index`, downwards, each with its index.
    pub(super) fn below(
        &self,
        index: usize,
        count: usize,
        now: Instant,
    ) -> impl Iterator<Item = (usize, &[u8], &Value)> {
        let end = index.min(self.len());
        let range = end.saturating_sub(count)..end;
        range.rev().filter_map(move |index| {
            let (key, entry) = self.entries.get_index(index)?;
            entry.is_live(now).then_some((index, &**key, &entry.value))
        })
    }

    /// Where `key` is. One that has expired is removed: nobody asks whether the sweep came yet.
    fn find(&mut self, key: &[u8], now: Instant) -> Option<usize> {
        let index = self.entries.get_index_of(key)?;
        if self.entries[index].is_live(now) {
            return Some(index);
        }
        self.remove_at(index);
        None
    }

    fn remove_at(&mut self, index: usize) -> Entry {
        let (key, entry) = self.entries.swap_remove_index(index).expect("the key was found there");
        self.forget_expiry(&key, entry.expires);
        entry
    }

    fn forget_expiry(&mut self, key: &[u8], expires: Option<Instant>) {
        if let Some(expires) = expires {
            self.expiries.remove(&(expires, key.into()));
        }
    }

    fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }
}

impl Entry {
    fn is_live(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
