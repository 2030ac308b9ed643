//! A queue out of which anything can be taken in constant time.

/// First in, first out, by keys that are small numbers: a doubly linked list through a table.
///
/// The table takes 8 bytes and a value for each key up to the largest, and is given back when the
/// line is empty.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// By key.
    places: Vec<Place<T>>,
    first: u32,
    last: u32,
    length: usize,
}

#[derive(Debug)]
struct Place<T> {
    value: Option<T>,
    before: u32,
    behind: u32,
}

impl<T> Line<T> {
    pub(super) const fn new() -> Line<T> {
        Line { places: Vec::new(), first: NONE, last: NONE, length: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The value that has waited longest.
    pub(super) fn first(&self) -> Option<&T> {
        self.places.get(self.first as usize)?.value.as_ref()
    }

    /// Puts a value at the end, under a key that is not in the line.
    pub(super) fn push(&mut self, key: u32, value: T) {
        let index = key as usize;
        if index >= self.places.len() {
            self.places.resize_with(index + 1, || Place {
                value: None,
                before: NONE,
                behind: NONE,
            });
        }
        debug_assert!(self.places[index].value.is_none(), "{key} is in the line");
        self.places[index] = Place { value: Some(value), before: self.last, behind: NONE };
        match self.places.get_mut(self.last as usize) {
            Some(last) => last.behind = key,
            None => self.first = key,
        }
        self.last = key;
        self.length += 1;
    }

    /// Takes the value that has waited longest.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.take_if(self.first, |_| true)
    }

    /// Takes the value under `key`, if it is in the line and is the one that is meant.
    pub(super) fn take_if(&mut self, key: u32, is_meant: impl FnOnce(&T) -> bool) -> Option<T> {
        let place = self.places.get_mut(key as usize)?;
        let value = place.value.take_if(|value| is_meant(value))?;
        let (before, behind) = (place.before, place.behind);
        match self.places.get_mut(before as usize) {
            Some(place) => place.behind = behind,
            None => self.first = behind,
        }
        match self.places.get_mut(behind as usize) {
            Some(place) => place.before = before,
            None => self.last = before,
        }
        self.length -= 1;
        if self.is_empty() && self.places.capacity() > KEPT_PLACES {
            self.places = Vec::new();
        }
        Some(value)
    }
}

/// No key: the table never has so many places.
const NONE: u32 = u32::MAX;

/// Places that an empty line keeps.
const KEPT_PLACES: usize = 1024;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is taken out, the rest comes in the order in which it was put in.
        #[test]
        fn line_is_a_queue_with_values_taken_out(steps in prop::collection::vec(0..24_u32, 0..200)) {
            let (mut line, mut model) = (Line::new(), VecDeque::new());
            for (serial, step) in steps.into_iter().enumerate() {
                let key = step % 8;
                let queued = model.iter().position(|&(of, _)| of == key);
                match (step / 8, queued) {
                    (0, None) => {
                        line.push(key, serial);
                        model.push_back((key, serial));
                    }
                    (0 | 1, _) => {
                        prop_assert_eq!(line.pop(), model.pop_front().map(|(_, serial)| serial));
                    }
                    (_, queued) => {
                        let taken = queued.and_then(|at| model.remove(at)).map(|(_, serial)| serial);
                        prop_assert_eq!(line.take_if(key, |_| true), taken);
                    }
                }
                prop_assert_eq!(line.len(), model.len());
                prop_assert_eq!(line.first(), model.front().map(|(_, serial)| serial));
            }
        }
    }

    #[test]
    fn another_value_under_the_same_key_is_left() {
        let mut line = Line::new();
        line.push(3, "new");
        assert_eq!(line.take_if(3, |value| *value == "old"), None);
        assert_eq!(line.pop(), Some("new"));
    }

    #[test]
    fn empty_line_gives_the_table_of_a_crowd_back() {
        let mut line = Line::new();
        (0..10_000).for_each(|key| line.push(key, key));
        while line.pop().is_some() {}
        assert_eq!(line.places.capacity(), 0);
    }
}
