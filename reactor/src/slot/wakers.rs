//! The wakers that wait in one direction of a source: mostly none or one, stored inline; several
//! are in a list on the heap.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use crate::mutant::{self, Mutant};

/// No waker, one, or several. Two words, as one waker takes.
#[derive(Debug)]
pub(crate) enum Wakers {
    Inline(Waker),
    List(Option<Box<List>>),
}

impl Wakers {
    pub(super) const EMPTY: Wakers = Wakers::List(None);

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> Wakers {
        std::mem::replace(self, Wakers::EMPTY)
    }

    /// The list. A waker that is stored inline moves there, and `owner` is its owner.
    pub(super) fn list(&mut self, owner: Option<Key>) -> &mut List {
        if matches!(self, Wakers::Inline(_))
            && let Wakers::Inline(first) = self.take()
        {
            let mut list = Box::<List>::default();
            list.push(owner, first);
            *self = Wakers::List(Some(list));
        }
        match self {
            Wakers::List(list) => list.get_or_insert_default(),
            Wakers::Inline(_) => unreachable!("the inline waker has just been moved"),
        }
    }

    /// Frees the list if it is empty; whether no waker is left.
    pub(super) fn free_if_empty(&mut self) -> bool {
        match self {
            Wakers::Inline(_) => false,
            Wakers::List(Some(list)) if !list.is_empty() => false,
            Wakers::List(_) => {
                *self = Wakers::EMPTY;
                true
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Wakers::List(None))
    }

    pub(crate) fn append_to(self, out: &mut Vec<Waker>) {
        match self {
            Wakers::Inline(waker) => out.push(waker),
            Wakers::List(Some(_)) if mutant::on(Mutant::CloseKeepsListed) => {}
            Wakers::List(Some(list)) => {
                out.extend(list.anonymous);
                out.extend(list.keyed.into_iter().map(|(_, waker)| waker));
            }
            Wakers::List(None) => {}
        }
    }

    #[cold]
    pub(super) fn wake(self) {
        match self {
            Wakers::Inline(waker) => wake_all([waker]),
            several => {
                let mut wakers = Vec::new();
                several.append_to(&mut wakers);
                wake_all(wakers);
            }
        }
    }
}

/// The name by which a keyed waiter knows its waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// It was stored inline. At most one waker has this key, and a waiter cannot tell whether the
    /// inline waker is still its own or was stored later.
    Inline,
    /// It was stored in the list. No other waiter ever has this number.
    Number(u64),
}

impl Key {
    /// A number that no other key has.
    pub(super) fn number() -> Key {
        /// The next number; only counts up.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: numbers only have to differ.
        Key::Number(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The wakers of several waiters.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// Their waiters do not report that they lost interest. All of them are woken for an event.
    anonymous: Vec<Waker>,
    /// Their waiters pass an event on. The first one is woken for an event.
    keyed: VecDeque<(Key, Waker)>,
}

impl List {
    pub(super) fn is_empty(&self) -> bool {
        self.anonymous.is_empty() && self.keyed.is_empty()
    }

    /// Adds a waker at the end; an anonymous one only if it is not there yet. Returns the waker
    /// that is not needed.
    pub(super) fn push(&mut self, owner: Option<Key>, waker: Waker) -> Option<Waker> {
        match owner {
            Some(key) => self.keyed.push_back((key, waker)),
            None if self.anonymous.iter().any(|there| there.will_wake(&waker)) => {
                return Some(waker);
            }
            None => self.anonymous.push(waker),
        }
        None
    }

    /// The waker of a keyed waiter.
    pub(super) fn find(&mut self, key: Key) -> Option<&mut Waker> {
        self.keyed.iter_mut().find(|(there, _)| *there == key).map(|(_, waker)| waker)
    }

    /// Takes out the waker of a keyed waiter.
    pub(super) fn remove(&mut self, key: Key) -> Option<Waker> {
        let position = self.keyed.iter().position(|(there, _)| *there == key)?;
        self.keyed.remove(position).map(|(_, waker)| waker)
    }

    /// Takes out the wakers for one event: the anonymous ones go to `out`, the first keyed one is
    /// returned.
    pub(super) fn take_next(&mut self, out: &mut Vec<Waker>) -> Option<Waker> {
        let only_anonymous = mutant::on(Mutant::KeyedBehindAnonymous) && !self.anonymous.is_empty();
        out.append(&mut self.anonymous);
        if only_anonymous {
            return None;
        }
        self.keyed.pop_front().map(|(_, waker)| waker)
    }
}

/// Calls wakers: all of them, even if one panics. The first panic continues in the caller, unless
/// the caller unwinds already.
pub(super) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut wakers = wakers.into_iter();
    let mut first = None;
    while let Err(payload) =
        catch_unwind(AssertUnwindSafe(|| wakers.by_ref().for_each(Waker::wake)))
    {
        // The drop of a payload is foreign code, too: its panic would skip the remaining wakers.
        match first {
            None => first = Some(payload),
            Some(_) => std::mem::forget(payload),
        }
    }
    match first {
        Some(payload) if std::thread::panicking() => std::mem::forget(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
}
