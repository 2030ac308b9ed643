//! Who waits for room in an inbox: senders, first come first served.
//!
//! A free place is given to one sender, the first, which alone is woken. It keeps the place until it
//! uses it or leaves, and a sender that comes later finds none: so one place costs one wake, and no sender
//! overtakes. Each operation takes constant time. All of it is behind the lock of the inbox, and
//! wakers come out of it to be called or dropped without that.

use std::task::Waker;

use slab::Slab;

/// The senders that wait, in order, and those that have a place and have not used it.
#[derive(Default)]
pub(super) struct Room {
    waiters: Slab<Waiter>,
    /// The ends of the list of those that wait.
    first: Option<Ticket>,
    last: Option<Ticket>,
    /// How many have a place.
    given: usize,
}

/// Names a sender that waits or has a place. Good until it uses the place or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(usize);

struct Waiter {
    /// `None` once it has a place; then it is in no list.
    waker: Option<Waker>,
    before: Option<Ticket>,
    after: Option<Ticket>,
}

impl Room {
    /// How many places are given and not used.
    pub(super) fn given(&self) -> usize {
        self.given
    }

    /// One more waits, behind all others.
    pub(super) fn wait(&mut self, waker: Waker) -> Ticket {
        let before = self.last;
        let waiter = Waiter { waker: Some(waker), before, after: None };
        let ticket = Ticket(self.waiters.insert(waiter));
        *self.after(before) = Some(ticket);
        self.last = Some(ticket);
        ticket
    }

    /// The waker of one that waits; nothing once it has a place.
    pub(super) fn waker(&mut self, ticket: Ticket) -> &mut Option<Waker> {
        &mut self.waiters[ticket.0].waker
    }

    pub(super) fn has_place(&self, ticket: Ticket) -> bool {
        self.waiters[ticket.0].waker.is_none()
    }

    /// Gives a place to the first that waits, if one does. Returns whom to wake.
    #[must_use = "the one that has the place is to be woken"]
    pub(super) fn give(&mut self) -> Option<Waker> {
        let first = self.first?;
        self.unlink(first);
        self.given += 1;
        self.waiters[first.0].waker.take()
    }

    /// The place of this one is used.
    pub(super) fn take_place(&mut self, ticket: Ticket) {
        debug_assert!(self.has_place(ticket), "{ticket:?} still waits");
        self.given -= 1;
        self.remove(ticket);
    }

    /// This one does not want a place any more. If it has one, the next gets it. Returns its waker, to
    /// be dropped, and whom to wake.
    #[must_use = "the next one is to be woken"]
    pub(super) fn leave(&mut self, ticket: Ticket) -> (Option<Waker>, Option<Waker>) {
        if self.has_place(ticket) {
            self.take_place(ticket);
            return (None, self.give());
        }
        self.unlink(ticket);
        (self.remove(ticket), None)
    }

    /// No sender gets a place any more. Returns the wakers, in order; all tickets are void.
    #[must_use = "those that wait are to be woken"]
    pub(super) fn close(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(waker) = self.give() {
            wakers.push(waker);
        }
        *self = Room::default();
        wakers
    }

    fn unlink(&mut self, ticket: Ticket) {
        let waiter = &mut self.waiters[ticket.0];
        let (before, after) = (waiter.before.take(), waiter.after.take());
        *self.after(before) = after;
        *self.before(after) = before;
    }

    /// What comes after `ticket`, or first.
    fn after(&mut self, ticket: Option<Ticket>) -> &mut Option<Ticket> {
        match ticket {
            Some(ticket) => &mut self.waiters[ticket.0].after,
            None => &mut self.first,
        }
    }

    /// What comes before `ticket`, or last.
    fn before(&mut self, ticket: Option<Ticket>) -> &mut Option<Ticket> {
        match ticket {
            Some(ticket) => &mut self.waiters[ticket.0].before,
            None => &mut self.last,
        }
    }

    /// A crowd gives its memory back when it has gone.
    fn remove(&mut self, ticket: Ticket) -> Option<Waker> {
        let waiter = self.waiters.remove(ticket.0);
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

    /// Whether those of `tickets`, and no others, have a place.
    fn have_places(room: &Room, tickets: &[Ticket], with: &[usize]) -> bool {
        (0..tickets.len()).all(|n| room.has_place(tickets[n]) == with.contains(&n))
    }

    fn waiting(room: &mut Room, count: usize) -> Vec<Ticket> {
        (0..count).map(|_| room.wait(Waker::noop().clone())).collect()
    }

    #[test]
    fn places_go_to_the_first_and_pass_over_those_that_left() {
        let mut room = Room::default();
        let mut tickets = waiting(&mut room, 5);
        assert!(room.leave(tickets.remove(2)).0.is_some());
        assert!(room.leave(tickets.remove(0)).0.is_some());
        assert!(room.give().is_some());
        assert!(have_places(&room, &tickets, &[0]));
        // The one that has the place leaves: the next gets it.
        assert!(room.leave(tickets.remove(0)).1.is_some());
        assert!(have_places(&room, &tickets, &[0]));
        room.take_place(tickets.remove(0));
        assert_eq!(room.given(), 0);
        assert!(room.leave(tickets.remove(0)).0.is_some());
        assert!(room.give().is_none());
        assert_eq!((room.first, room.last, room.waiters.len()), (None, None, 0));
    }

    #[test]
    fn crowd_gives_its_memory_back() {
        let mut room = Room::default();
        for ticket in waiting(&mut room, 1000) {
            let _ = room.leave(ticket);
        }
        assert!(room.waiters.capacity() <= FEW);
    }
}
