//! A sorted set: members with scores, in the order of their scores, members of one score in the
//! order of their bytes.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;
use indexmap::IndexMap;
use indexset::BTreeSet;

pub(crate) struct Sorted {
    scores: IndexMap<Arc<[u8]>, f64, RandomState>,
    /// Knows the rank of each element, in O(log n).
    order: BTreeSet<(Score, Arc<[u8]>)>,
    /// It was once longer than what Redis keeps as a listpack, which has no negative zero.
    is_long: bool,
}

/// The score that a member had, and the one it was to get.
pub(crate) struct Update {
    pub(crate) old: Option<f64>,
    pub(crate) new: Option<f64>,
}

impl Default for Sorted {
    fn default() -> Sorted {
        let order = BTreeSet::with_maximum_node_size(NODE);
        Sorted { scores: IndexMap::default(), order, is_long: false }
    }
}

impl Sorted {
    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// Sets the score of `member` to what `choose` makes of the old one, if anything.
    pub(crate) fn update<E>(
        &mut self,
        member: &[u8],
        choose: impl FnOnce(Option<f64>) -> Result<Option<f64>, E>,
    ) -> Result<Update, E> {
        let place = self.scores.get_index_of(member);
        let old = place.map(|place| self.scores[place]);
        let new = choose(old)?;
        if let Some(new) = new.filter(|new| old != Some(*new)) {
            self.is_long |= place.is_none() && (self.len() >= SHORT || member.len() > SHORT_MEMBER);
            // Of a negative zero the sum makes a positive one.
            let new = if self.is_long { new } else { new + 0.0 };
            let place = place.unwrap_or_else(|| self.scores.insert_full(member.into(), new).0);
            let mut element = (Score(self.scores[place]), Arc::clone(&self.scores.keys()[place]));
            if old.is_some() {
                self.order.remove(&element);
            }
            element.0 = Score(new);
            self.order.insert(element);
            self.scores[place] = new;
        }
        Ok(Update { old, new })
    }

    /// Whether `member` was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        self.take(member).is_some()
    }

    /// Takes the member with the lowest score, or the highest.
    pub(crate) fn pop(&mut self, highest: bool) -> Option<(Arc<[u8]>, f64)> {
        let popped = if highest { self.order.pop_last() } else { self.order.pop_first() };
        let (Score(score), member) = popped?;
        self.scores.swap_remove(&member);
        Some((member, score))
    }

    /// How many members are before `member`.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        let (member, score) = self.scores.get_key_value(member)?;
        Some(self.order.rank(&(Score(*score), Arc::clone(member))))
    }

    /// The members of those ranks.
    pub(crate) fn range(
        &self,
        ranks: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], f64)> {
        let elements = (!ranks.is_empty()).then(|| self.order.range_idx(ranks));
        elements.into_iter().flatten().map(|(score, member)| (&**member, score.0))
    }

    fn take(&mut self, member: &[u8]) -> Option<(Arc<[u8]>, f64)> {
        let (member, score) = self.scores.swap_remove_entry(member)?;
        self.order.remove(&(Score(score), Arc::clone(&member)));
        Some((member, score))
    }
}

/// A score has an order: commands refuse NaN.
#[derive(Clone, Copy)]
struct Score(f64);

impl Ord for Score {
    fn cmp(&self, other: &Score) -> Ordering {
        // Not `total_cmp`: 0 and -0 are one score.
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Score) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Score) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

/// `zset-max-listpack-entries` and `zset-max-listpack-value` of Redis.
const SHORT: usize = 128;
const SHORT_MEMBER: usize = 64;

/// Elements in a node of the order.
const NODE: usize = 64;
