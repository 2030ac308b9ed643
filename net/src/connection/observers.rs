//! The tasks that wait for a change of the table: acceptors and drains.

use std::mem;
use std::task::Waker;

use slab::Slab;

use crate::runtime::wakers::LazyWaker;

/// The tasks that wait for connections to end, or for a drain to begin.
#[derive(Default)]
pub(super) struct Observers {
    acceptors: Slab<Acceptor>,
    /// Drains that wait for the last connection and the last acceptor to end.
    drains: Vec<Waker>,
}

#[derive(Default)]
struct Acceptor {
    waker: Option<Waker>,
    /// It is woken when a connection ends, not only when the server drains.
    waits_for_end: bool,
}

impl Observers {
    pub(super) fn add_acceptor(&mut self) -> usize {
        self.acceptors.insert(Acceptor::default())
    }

    /// Returns the acceptor's waker, to be dropped without the lock.
    #[must_use = "a waker is dropped without the lock"]
    pub(super) fn remove_acceptor(&mut self, number: usize) -> Option<Waker> {
        self.acceptors.remove(number).waker
    }

    pub(super) fn has_acceptors(&self) -> bool {
        !self.acceptors.is_empty()
    }

    /// Stores an acceptor's waker. It is woken when a drain begins, and, if it `waits_for_end`, when
    /// a connection ends. Returns whether the waker is stored.
    #[must_use = "without its waker it is not woken"]
    pub(super) fn watch(
        &mut self,
        acceptor: usize,
        waits_for_end: bool,
        fresh: &mut LazyWaker<'_>,
    ) -> bool {
        let acceptor = &mut self.acceptors[acceptor];
        acceptor.waits_for_end = waits_for_end;
        fresh.store_in(&mut acceptor.waker)
    }

    /// Stores the waker of a drain. Returns whether it is stored.
    #[must_use = "without its waker it is not woken"]
    pub(super) fn watch_for_the_last(&mut self, waker: &Waker, fresh: &mut LazyWaker<'_>) -> bool {
        if self.drains.iter().any(|drain| drain.will_wake(waker)) {
            return true;
        }
        let fresh = fresh.take();
        let stored = fresh.is_some();
        self.drains.extend(fresh);
        stored
    }

    /// A connection has ended. Returns the acceptors to wake; each then stores its waker again.
    pub(super) fn on_end(&mut self) -> Vec<Waker> {
        let waiting = |(_, acceptor): (usize, &mut Acceptor)| {
            let waits = mem::replace(&mut acceptor.waits_for_end, false);
            if waits { acceptor.waker.take() } else { None }
        };
        self.acceptors.iter_mut().filter_map(waiting).collect()
    }

    /// The last connection and the last acceptor have ended. Returns the drains to wake.
    pub(super) fn on_last(&mut self) -> Vec<Waker> {
        mem::take(&mut self.drains)
    }

    /// A drain begins. Returns the acceptors to wake: each finds the drain begun and waits no more.
    pub(super) fn on_drain(&mut self) -> Vec<Waker> {
        self.acceptors.iter_mut().filter_map(|(_, acceptor)| acceptor.waker.take()).collect()
    }
}
