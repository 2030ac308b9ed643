//! A sorted set: members with scores, in the order of their scores.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;

#[derive(Default)]
pub(crate) struct Sorted {
    scores: IndexMap<Arc<[u8]>, f64>,
    order: BTreeSet<(Score, Arc<[u8]>)>,
}

impl Sorted {
    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// Sets the score of `member`, and returns the one it had.
    pub(crate) fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let (member, old) = match self.scores.get_full_mut(member) {
            Some((_, _, old)) if *old == score => return Some(score),
            Some((_, member, old)) => (Arc::clone(member), Some(std::mem::replace(old, score))),
            None => {
                let member: Arc<[u8]> = member.into();
                self.scores.insert(Arc::clone(&member), score);
                (member, None)
            }
        };
        if let Some(old) = old {
            self.order.remove(&(Score(old), Arc::clone(&member)));
        }
        self.order.insert((Score(score), member));
        old
    }

    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let Some((_, member, score)) = self.scores.swap_remove_full(member) else { return false };
        self.order.remove(&(Score(score), member))
    }

    /// Takes the member with the lowest score, or the highest.
    pub(crate) fn pop(&mut self, highest: bool) -> Option<(Arc<[u8]>, f64)> {
        let popped = if highest { self.order.pop_last() } else { self.order.pop_first() };
        let (Score(score), member) = popped?;
        self.scores.swap_remove(&member);
        Some((member, score))
    }

    /// All members, the lowest score first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], f64)> + Clone {
        self.order.iter().map(|(score, member)| (&**member, score.0))
    }
}

/// A score has an order: commands refuse what is not a number.
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
