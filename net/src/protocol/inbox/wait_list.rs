//! The senders that wait for room in an inbox, first come first served.
//!
//! A free slot is given to one sender, the first, which alone is woken. It keeps the slot until it
//! uses it or leaves, and a sender that comes later finds none: so one slot costs one wake, and no
//! sender overtakes. Each operation takes constant time. All of it is behind the lock of the inbox,
//! and wakers come out of it to be called or dropped without that.

use std::task::Waker;

use slab::Slab;

/// The senders that wait, in order, and those that have a slot and have not used it.
#[derive(Default)]
pub(super) struct WaitList {
    waiters: Slab<Waiter>,
    /// The ends of the list of those that wait.
    first: Option<WaiterKey>,
    last: Option<WaiterKey>,
    /// How many have a slot.
    given: usize,
}

/// Names a sender that waits or has a slot. Good until it uses the slot or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WaiterKey(usize);

struct Waiter {
    /// `None` once it has a slot; then it is in no list.
    waker: Option<Waker>,
    before: Option<WaiterKey>,
    after: Option<WaiterKey>,
}

impl WaitList {
    /// How many slots are given and not used.
    pub(super) fn given(&self) -> usize {
        self.given
    }

    /// One more waits, behind all others.
    pub(super) fn wait(&mut self, waker: Waker) -> WaiterKey {
        let before = self.last;
        let waiter = Waiter { waker: Some(waker), before, after: None };
        let key = WaiterKey(self.waiters.insert(waiter));
        *self.after(before) = Some(key);
        self.last = Some(key);
        key
    }

    /// The waker of one that waits; nothing once it has a slot.
    pub(super) fn waker(&mut self, key: WaiterKey) -> &mut Option<Waker> {
        &mut self.waiters[key.0].waker
    }

    pub(super) fn has_slot(&self, key: WaiterKey) -> bool {
        self.waiters[key.0].waker.is_none()
    }

    /// Gives a slot to the first that waits, if one does. Returns its waker.
    #[must_use = "the one that has the slot is to be woken"]
    pub(super) fn give(&mut self) -> Option<Waker> {
        let first = self.first?;
        self.unlink(first);
        self.given += 1;
        self.waiters[first.0].waker.take()
    }

    /// The slot of this one is used.
    pub(super) fn take_slot(&mut self, key: WaiterKey) {
        debug_assert!(self.has_slot(key), "{key:?} still waits");
        self.given -= 1;
        self.remove(key);
    }

    /// This one does not want a slot any more. If it has one, the next gets it. Returns its waker, to
    /// be dropped, and the waker of the next.
    #[must_use = "the next one is to be woken"]
    pub(super) fn leave(&mut self, key: WaiterKey) -> (Option<Waker>, Option<Waker>) {
        if self.has_slot(key) {
            self.take_slot(key);
            return (None, self.give());
        }
        self.unlink(key);
        (self.remove(key), None)
    }

    /// No sender gets a slot any more. Returns the wakers, in order; all keys are void.
    #[must_use = "those that wait are to be woken"]
    pub(super) fn close(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(waker) = self.give() {
            wakers.push(waker);
        }
        *self = WaitList::default();
        wakers
    }

    fn unlink(&mut self, key: WaiterKey) {
        let waiter = &mut self.waiters[key.0];
        let (before, after) = (waiter.before.take(), waiter.after.take());
        *self.after(before) = after;
        *self.before(after) = before;
    }

    /// What comes after `key`, or first.
    fn after(&mut self, key: Option<WaiterKey>) -> &mut Option<WaiterKey> {
        match key {
            Some(key) => &mut self.waiters[key.0].after,
            None => &mut self.first,
        }
    }

    /// What comes before `key`, or last.
    fn before(&mut self, key: Option<WaiterKey>) -> &mut Option<WaiterKey> {
        match key {
            Some(key) => &mut self.waiters[key.0].before,
            None => &mut self.last,
        }
    }

    /// A crowd gives its memory back when it has gone.
    fn remove(&mut self, key: WaiterKey) -> Option<Waker> {
        let waiter = self.waiters.remove(key.0);
        if self.waiters.is_empty() && self.waiters.capacity() > FEW {
            self.waiters = Slab::new();
        }
        waiter.waker
    }
}

/// For so many senders the memory is kept.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether those of `keys`, and no others, have a slot.
    fn have_slots(list: &WaitList, keys: &[WaiterKey], with: &[usize]) -> bool {
        (0..keys.len()).all(|n| list.has_slot(keys[n]) == with.contains(&n))
    }

    fn waiting(list: &mut WaitList, count: usize) -> Vec<WaiterKey> {
        (0..count).map(|_| list.wait(Waker::noop().clone())).collect()
    }

    #[test]
    fn slots_go_to_the_first_and_pass_over_those_that_left() {
        let mut list = WaitList::default();
        let mut keys = waiting(&mut list, 5);
        assert!(list.leave(keys.remove(2)).0.is_some());
        assert!(list.leave(keys.remove(0)).0.is_some());
        assert!(list.give().is_some());
        assert!(have_slots(&list, &keys, &[0]));
        // The one that has the slot leaves: the next gets it.
        assert!(list.leave(keys.remove(0)).1.is_some());
        assert!(have_slots(&list, &keys, &[0]));
        list.take_slot(keys.remove(0));
        assert_eq!(list.given(), 0);
        assert!(list.leave(keys.remove(0)).0.is_some());
        assert!(list.give().is_none());
        assert_eq!((list.first, list.last, list.waiters.len()), (None, None, 0));
    }

    #[test]
    fn crowd_gives_its_memory_back() {
        let mut list = WaitList::default();
        for key in waiting(&mut list, 1000) {
            let _ = list.leave(key);
        }
        assert!(list.waiters.capacity() <= FEW);
    }
}
