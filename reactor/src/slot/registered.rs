//! A registered waiter: it knows its place among the wakers, and passes an event on that it leaves
//! unused.
//!
//! An event wakes one registered waiter. The others rely on that one while the direction is ready:
//!
//! - it polls and takes the event: its [`Drain`](crate::Drain), dropped early, wakes the next one;
//! - it polls and finds the event taken: it waits again, and relies on the task that has the event;
//! - it is dropped: if the direction is ready, it wakes the next one as an event would.
//!
//! So no waker may stay registered when its waiter is gone: an event would rely on that one for
//! ever. A waiter takes its waker out before it leaves, or makes it anonymous.
//!
//! The waker in place has no number. A waiter whose waker was stored there may find the waker of
//! another waiter there, which came later. That one needs no event passed on: the direction was not
//! ready when it began to wait, and a later event finds it. So a waiter that is dropped makes the
//! waker there anonymous, which costs a spurious wake and loses nothing; a waiter that is ready
//! takes it out and wakes it.

use std::io;
use std::task::{Context, Poll, Waker};

use super::stored::{Key, Stored};
use super::{Slot, settle};
use crate::readiness::{Arming, Bits, Direction, Look};
use crate::sync::mutant::{self, Mutant};

/// One waiter in a direction of a slot.
#[derive(Debug)]
pub(crate) struct Registered<'a> {
    slot: &'a Slot,
    direction: Direction,
    /// Of the waker that it stored last; none if it has not waited or has taken the event.
    key: Option<Key>,
}

impl<'a> Registered<'a> {
    pub(crate) fn new(slot: &'a Slot, direction: Direction) -> Registered<'a> {
        Registered { slot, direction, key: None }
    }

    pub(crate) fn slot(&self) -> &'a Slot {
        self.slot
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    /// As [`Slot::poll_take`], for this waiter.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        let word = &self.slot.word;
        let mut look = word.take(self.direction);
        if look == Look::NotReady {
            self.slot.ensure_armed(self.direction, ask)?;
            self.store(cx.waker());
            if word.announce(self.direction) != Look::NotReady {
                // If another task takes first what the second look found, this waiter waits: its
                // waker is stored and announced.
                look = word.take(self.direction);
            }
        }
        if look != Look::NotReady {
            self.withdraw();
        }
        settle(look)
    }

    /// Stores the waker, or leaves it where it is.
    fn store(&mut self, waker: &Waker) {
        let mine = waker.clone();
        let (word, direction) = (&self.slot.word, self.direction);
        let mut waiting = self.slot.waiting.lock();
        let stored = &mut waiting[direction as usize];
        let (mut unused, mut displaced) = (None, Stored::EMPTY);
        match stored {
            Stored::One(there) if there.will_wake(&mine) => {
                word.describe(direction, false, true);
                (self.key, unused) = (Some(Key::First), Some(mine));
            }
            Stored::One(_) if !word.keeps(direction) && !mutant::on(Mutant::FurtherDisplaces) => {
                // The waker there may be an earlier one of this waiter, which must not stay
                // registered.
                let others = word.is_registered(direction) && self.key != Some(Key::First);
                let list = stored.list(others.then_some(Key::First));
                list.push(Some(self.number()), mine);
            }
            Stored::Listed(Some(list)) => {
                if let Some(key) = self.key
                    && let Some(there) = list.find(key)
                    && (there.will_wake(&mine) || key != Key::First)
                {
                    unused = Some(std::mem::replace(there, mine));
                } else {
                    // As above.
                    if self.key == Some(Key::First)
                        && let Some(earlier) = list.remove(Key::First)
                    {
                        unused = list.push(None, earlier);
                    }
                    list.push(Some(self.number()), mine);
                }
            }
            _ => {
                displaced = std::mem::replace(stored, Stored::One(mine));
                word.describe(direction, false, true);
                self.key = Some(Key::First);
            }
        }
        drop(waiting);
        drop(unused);
        if !displaced.is_empty() {
            displaced.wake();
        }
    }

    /// The number of this waiter, in the list.
    fn number(&mut self) -> Key {
        let number = match self.key {
            Some(number @ Key::Number(_)) => number,
            _ => Key::number(),
        };
        self.key = Some(number);
        number
    }

    /// Takes the waker out, if it is still there: this waiter has taken the event.
    fn withdraw(&mut self) {
        let Some(key) = self.key.take() else { return };
        let (word, direction) = (&self.slot.word, self.direction);
        if mutant::on(Mutant::WithdrawsUnlooked) && !word.is_waiting(direction) {
            return;
        }
        let mut waiting = self.slot.waiting.lock();
        let stored = &mut waiting[direction as usize];
        let taken = match stored {
            Stored::One(_) if key == Key::First && word.is_registered(direction) => stored.take(),
            Stored::Listed(Some(list)) => list.remove(key).map_or(Stored::EMPTY, Stored::One),
            _ => Stored::EMPTY,
        };
        if !taken.is_empty() && stored.free_if_empty() {
            word.stop_waiting(direction);
        }
        drop(waiting);
        if key == Key::First && !taken.is_empty() {
            // It may be that of another waiter.
            taken.wake();
        }
    }

    /// Leaves without the event; the next waiter is woken if it may rely on this one.
    fn leave(&mut self, key: Key) {
        let (word, direction) = (&self.slot.word, self.direction);
        let mut waiting = self.slot.waiting.lock();
        let stored = &mut waiting[direction as usize];
        let (mut woken, mut unused) = (false, None);
        match stored {
            Stored::One(_) if key == Key::First => {
                word.describe(direction, word.keeps(direction), false);
            }
            Stored::Listed(Some(list)) => match list.remove(key) {
                Some(waker) if key == Key::First => unused = list.push(None, waker),
                Some(waker) => unused = Some(waker),
                None => woken = true,
            },
            // No waker here relies on this waiter: it is alone, and came later.
            _ => {}
        }
        if !woken && stored.free_if_empty() {
            word.stop_waiting(direction);
        }
        drop(waiting);
        drop(unused);
        if woken && !mutant::on(Mutant::LeavesSilently) && word.pass_on(direction) {
            self.slot.wake(direction);
        }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        // A model that failed unwinds its other threads when its atomics are gone already.
        if cfg!(heist_loom) && std::thread::panicking() {
            return;
        }
        if let Some(key) = self.key.take() {
            self.leave(key);
        }
    }
}
