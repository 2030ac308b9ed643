//! A keyed waiter: it knows the key of its waker, and passes an event on that it leaves unused.
//!
//! An event wakes one keyed waiter. The others depend on that one while the direction is ready:
//!
//! - it polls and takes the event: its [`Drain`](crate::Drain), dropped early, wakes the next one;
//! - it polls and finds the event taken: it waits again, and depends on the task that has the event;
//! - it is dropped: if the direction is ready, it wakes the next one as an event would.
//!
//! So no waker may stay keyed when its waiter is gone: an event would depend on that waiter for
//! ever. A waiter takes its waker out before it leaves, or makes it anonymous.
//!
//! The inline waker has no number. A waiter whose waker was stored inline may find the waker of
//! another, later waiter there. That one needs no event passed on: the direction was not ready when
//! it began to wait, and a later event finds it. So a waiter that is dropped makes the inline waker
//! anonymous, which costs a spurious wake and loses nothing; a waiter that is ready takes it out
//! and wakes it.

use std::io;
use std::task::{Context, Poll, Waker};

use super::wakers::{Key, Wakers};
use super::{Slot, into_poll};
use crate::mutant::{self, Mutant};
use crate::readiness::{Arming, Bits, Direction, Status};

/// One waiter in a direction of a slot.
#[derive(Debug)]
pub(crate) struct KeyedWaiter<'a> {
    slot: &'a Slot,
    direction: Direction,
    /// The key of the waker that it stored last; none if it has not waited or has taken the event.
    key: Option<Key>,
}

impl<'a> KeyedWaiter<'a> {
    pub(crate) fn new(slot: &'a Slot, direction: Direction) -> KeyedWaiter<'a> {
        KeyedWaiter { slot, direction, key: None }
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
        request: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        let word = &self.slot.word;
        let mut status = word.take(self.direction);
        if status == Status::NotReady {
            self.slot.ensure_armed(self.direction, request)?;
            self.store(cx.waker());
            if word.register_waiter(self.direction) != Status::NotReady {
                // If another task first takes what the second look found, this waiter waits: its
                // waker is stored and the waiting bit set.
                status = word.take(self.direction);
            }
        }
        if status != Status::NotReady {
            self.withdraw();
        }
        into_poll(status)
    }

    /// Stores the waker, or leaves it where it is.
    fn store(&mut self, waker: &Waker) {
        let mine = waker.clone();
        let (word, direction) = (&self.slot.word, self.direction);
        let mut locked = self.slot.wakers.lock();
        let wakers = &mut locked[direction as usize];
        let (mut unused, mut displaced) = (None, Wakers::EMPTY);
        match wakers {
            Wakers::Inline(there) if there.will_wake(&mine) => {
                word.describe_waker(direction, false, true);
                (self.key, unused) = (Some(Key::Inline), Some(mine));
            }
            Wakers::Inline(_)
                if !word.is_persistent(direction) && !mutant::on(Mutant::FurtherDisplaces) =>
            {
                // The inline waker may be an earlier one of this waiter, which must not stay keyed.
                let of_other = word.is_keyed(direction) && self.key != Some(Key::Inline);
                let list = wakers.list(of_other.then_some(Key::Inline));
                list.push(Some(self.number()), mine);
            }
            Wakers::List(Some(list)) => {
                if let Some(key) = self.key
                    && let Some(there) = list.find(key)
                    && (there.will_wake(&mine) || key != Key::Inline)
                {
                    unused = Some(std::mem::replace(there, mine));
                } else {
                    // As above.
                    if self.key == Some(Key::Inline)
                        && let Some(earlier) = list.remove(Key::Inline)
                    {
                        unused = list.push(None, earlier);
                    }
                    list.push(Some(self.number()), mine);
                }
            }
            _ => {
                displaced = std::mem::replace(wakers, Wakers::Inline(mine));
                word.describe_waker(direction, false, true);
                self.key = Some(Key::Inline);
            }
        }
        drop(locked);
        drop(unused);
        if !displaced.is_empty() {
            displaced.wake();
        }
    }

    /// This waiter's number in the list.
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
        let mut locked = self.slot.wakers.lock();
        let wakers = &mut locked[direction as usize];
        let taken = match wakers {
            Wakers::Inline(_) if key == Key::Inline && word.is_keyed(direction) => wakers.take(),
            Wakers::List(Some(list)) => list.remove(key).map_or(Wakers::EMPTY, Wakers::Inline),
            _ => Wakers::EMPTY,
        };
        if !taken.is_empty() && wakers.free_if_empty() {
            word.clear_waiting(direction);
        }
        drop(locked);
        if key == Key::Inline && !taken.is_empty() {
            // It may be that of another waiter.
            taken.wake();
        }
    }

    /// Leaves without the event; the next waiter is woken if it may depend on this one.
    fn leave(&mut self, key: Key) {
        let (word, direction) = (&self.slot.word, self.direction);
        let mut locked = self.slot.wakers.lock();
        let wakers = &mut locked[direction as usize];
        let (mut woken, mut unused) = (false, None);
        match wakers {
            Wakers::Inline(_) if key == Key::Inline => {
                word.describe_waker(direction, word.is_persistent(direction), false);
            }
            Wakers::List(Some(list)) => match list.remove(key) {
                Some(waker) if key == Key::Inline => unused = list.push(None, waker),
                Some(waker) => unused = Some(waker),
                None => woken = true,
            },
            // No waker here depends on this waiter: there is one at most, and it came later.
            _ => {}
        }
        if !woken && wakers.free_if_empty() {
            word.clear_waiting(direction);
        }
        drop(locked);
        drop(unused);
        if woken && !mutant::on(Mutant::LeavesSilently) && word.pass_on(direction) {
            self.slot.wake(direction);
        }
    }
}

impl Drop for KeyedWaiter<'_> {
    fn drop(&mut self) {
        // When a model fails, loom unwinds its other threads after their atomics are gone.
        if cfg!(heist_loom) && std::thread::panicking() {
            return;
        }
        if let Some(key) = self.key.take() {
            self.leave(key);
        }
    }
}
