//! A queue out of which any value can be taken in constant time.

/// First in, first out, with small numbers as keys: a doubly linked list through a table.
///
/// The table takes 8 bytes and a value for each key up to the largest, and is freed when the queue is
/// empty.
#[derive(Debug)]
pub(super) struct KeyedQueue<T> {
    /// By key.
    slots: Vec<Slot<T>>,
    first: u32,
    last: u32,
    length: usize,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    previous: u32,
    next: u32,
}

impl<T> KeyedQueue<T> {
    pub(super) const fn new() -> KeyedQueue<T> {
        KeyedQueue { slots: Vec::new(), first: NONE, last: NONE, length: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The value that has waited longest.
    pub(super) fn first(&self) -> Option<&T> {
        self.slots.get(self.first as usize)?.value.as_ref()
    }

    /// Appends a value, under a key that is not in the queue.
    pub(super) fn push(&mut self, key: u32, value: T) {
        let index = key as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || Slot { value: None, previous: NONE, next: NONE });
        }
        debug_assert!(self.slots[index].value.is_none(), "{key} is in the queue");
        self.slots[index] = Slot { value: Some(value), previous: self.last, next: NONE };
        match self.slots.get_mut(self.last as usize) {
            Some(last) => last.next = key,
            None => self.first = key,
        }
        self.last = key;
        self.length += 1;
    }

    /// Takes the value that has waited longest.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.remove_if(self.first, |_| true)
    }

    /// Takes the value under `key`, if there is one and `is_meant` accepts it.
    pub(super) fn remove_if(&mut self, key: u32, is_meant: impl FnOnce(&T) -> bool) -> Option<T> {
        let slot = self.slots.get_mut(key as usize)?;
        let value = slot.value.take_if(|value| is_meant(value))?;
        let (previous, next) = (slot.previous, slot.next);
        match self.slots.get_mut(previous as usize) {
            Some(slot) => slot.next = next,
            None => self.first = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(slot) => slot.previous = previous,
            None => self.last = previous,
        }
        self.length -= 1;
        if self.is_empty() && self.slots.capacity() > KEPT_SLOTS {
            self.slots = Vec::new();
        }
        Some(value)
    }
}

/// No key: the table never has so many slots.
const NONE: u32 = u32::MAX;

/// Places that an empty queue keeps.
const KEPT_SLOTS: usize = 1024;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// When values are taken out, the rest keeps its order.
        #[test]
        fn values_taken_out_leave_the_rest_in_order(steps in prop::collection::vec(0..24_u32, 0..200)) {
            let (mut queue, mut model) = (KeyedQueue::new(), VecDeque::new());
            for (serial, step) in steps.into_iter().enumerate() {
                let key = step % 8;
                let queued = model.iter().position(|&(of, _)| of == key);
                match (step / 8, queued) {
                    (0, None) => {
                        queue.push(key, serial);
                        model.push_back((key, serial));
                    }
                    (0 | 1, _) => {
                        prop_assert_eq!(queue.pop(), model.pop_front().map(|(_, serial)| serial));
                    }
                    (_, queued) => {
                        let taken = queued.and_then(|at| model.remove(at)).map(|(_, serial)| serial);
                        prop_assert_eq!(queue.remove_if(key, |_| true), taken);
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.first(), model.front().map(|(_, serial)| serial));
            }
        }
    }

    #[test]
    fn another_value_under_the_same_key_is_left() {
        let mut queue = KeyedQueue::new();
        queue.push(3, "new");
        assert_eq!(queue.remove_if(3, |value| *value == "old"), None);
        assert_eq!(queue.pop(), Some("new"));
    }

    #[test]
    fn empty_queue_gives_the_table_of_a_crowd_back() {
        let mut queue = KeyedQueue::new();
        (0..10_000).for_each(|key| queue.push(key, key));
        while queue.pop().is_some() {}
        assert_eq!(queue.slots.capacity(), 0);
    }
}
