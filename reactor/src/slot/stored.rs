//! The wakers that wait in one direction of a source: mostly none or one, in place; several are in a
//! list out of line.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use crate::sync::mutant::{self, Mutant};

/// Two words, as one waker takes.
#[derive(Debug)]
pub(crate) enum Stored {
    One(Waker),
    Listed(Option<Box<List>>),
}

impl Stored {
    pub(super) const EMPTY: Stored = Stored::Listed(None);

    /// Leaves nothing.
    pub(super) fn take(&mut self) -> Stored {
        std::mem::replace(self, Stored::EMPTY)
    }

    /// The list. A waker that is in place moves there, and `owner` is its owner.
    pub(super) fn list(&mut self, owner: Option<Key>) -> &mut List {
        if matches!(self, Stored::One(_))
            && let Stored::One(first) = self.take()
        {
            let mut list = Box::<List>::default();
            list.push(owner, first);
            *self = Stored::Listed(Some(list));
        }
        match self {
            Stored::Listed(list) => list.get_or_insert_default(),
            Stored::One(_) => unreachable!("the one waker has just been moved"),
        }
    }

    /// Frees the list if it is empty; whether nothing is left.
    pub(super) fn free_if_empty(&mut self) -> bool {
        match self {
            Stored::One(_) => false,
            Stored::Listed(Some(list)) if !list.is_empty() => false,
            Stored::Listed(_) => {
                *self = Stored::EMPTY;
                true
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Stored::Listed(None))
    }

    pub(crate) fn append_to(self, out: &mut Vec<Waker>) {
        match self {
            Stored::One(waker) => out.push(waker),
            Stored::Listed(Some(_)) if mutant::on(Mutant::CloseKeepsListed) => {}
            Stored::Listed(Some(list)) => {
                out.extend(list.anonymous);
                out.extend(list.registered.into_iter().map(|(_, waker)| waker));
            }
            Stored::Listed(None) => {}
        }
    }

    #[cold]
    pub(super) fn wake(self) {
        match self {
            Stored::One(waker) => super::wake_all([waker]),
            several => {
                let mut wakers = Vec::new();
                several.append_to(&mut wakers);
                super::wake_all(wakers);
            }
        }
    }
}

/// What a registered waiter knows its waker by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// It was stored in place. At most one waker has this key, and a waiter cannot tell whether that
    /// is still its own or one that was stored in place later.
    First,
    /// It was stored in the list. No other waiter ever has this number.
    Number(u64),
}

impl Key {
    /// Makes a number.
    pub(super) fn number() -> Key {
        /// The number after the last one; only counts up.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: numbers only have to differ.
        Key::Number(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The wakers of several waiters.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// Their waiters do not learn whether they are still of use. All are woken for an event.
    anonymous: Vec<Waker>,
    /// Their waiters pass an event on. The first one is woken for an event.
    registered: VecDeque<(Key, Waker)>,
}

impl List {
    pub(super) fn is_empty(&self) -> bool {
        self.anonymous.is_empty() && self.registered.is_empty()
    }

    /// Adds a waker at the end; an anonymous one only if it is not there yet. Returns the waker that
    /// is not needed.
    pub(super) fn push(&mut self, owner: Option<Key>, waker: Waker) -> Option<Waker> {
        match owner {
            Some(key) => self.registered.push_back((key, waker)),
            None if self.anonymous.iter().any(|there| there.will_wake(&waker)) => {
                return Some(waker);
            }
            None => self.anonymous.push(waker),
        }
        None
    }

    /// The waker of a registered waiter.
    pub(super) fn find(&mut self, key: Key) -> Option<&mut Waker> {
        self.registered.iter_mut().find(|(there, _)| *there == key).map(|(_, waker)| waker)
    }

    /// Takes out the waker of a registered waiter.
    pub(super) fn remove(&mut self, key: Key) -> Option<Waker> {
        let position = self.registered.iter().position(|(there, _)| *there == key)?;
        self.registered.remove(position).map(|(_, waker)| waker)
    }

    /// Takes out the wakers for one event: the anonymous ones go to `out`, the first registered one
    /// is returned.
    pub(super) fn take_next(&mut self, out: &mut Vec<Waker>) -> Option<Waker> {
        if mutant::on(Mutant::AnonymousReliedUpon) && !self.anonymous.is_empty() {
            out.append(&mut self.anonymous);
            return None;
        }
        out.append(&mut self.anonymous);
        self.registered.pop_front().map(|(_, waker)| waker)
    }
}
