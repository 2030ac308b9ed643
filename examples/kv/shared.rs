//! What all connections share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use heist::server::{Budget, OverBudget};
use heist::time::Instant;

use crate::store::Store;

pub(crate) struct Shared {
    pub(crate) store: Store,
    /// The memory of requests that have not run yet: long ones that come in pieces, those between
    /// MULTI and EXEC, and watched keys.
    pub(crate) requests: Arc<Budget>,
    pub(crate) started: Instant,
    clients_ever: AtomicI64,
    clients_gone: AtomicI64,
}

impl Shared {
    /// `memory` is for requests that have not run yet.
    pub(crate) fn new(memory: usize, now: Instant) -> Shared {
        let requests = Arc::new(Budget::new(memory));
        let (clients_ever, clients_gone) = (AtomicI64::new(0), AtomicI64::new(0));
        Shared { store: Store::new(now), requests, started: now, clients_ever, clients_gone }
    }

    /// Counts a client, and returns its number. Relaxed, as are the others: they order nothing.
    pub(crate) fn client_opened(&self) -> i64 {
        self.clients_ever.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn client_closed(&self) {
        self.clients_gone.fetch_add(1, Ordering::Relaxed);
    }

    /// How many clients there are, and how many there have been.
    pub(crate) fn clients(&self) -> (i64, i64) {
        let gone = self.clients_gone.load(Ordering::Relaxed);
        let ever = self.clients_ever.load(Ordering::Relaxed);
        (ever - gone, ever)
    }
}

/// Bytes charged to a budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(budget: &Arc<Budget>) -> Charge {
        Charge { budget: Arc::clone(budget), bytes: 0 }
    }

    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), OverBudget> {
        self.budget.try_grow(bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.shrink(self.bytes);
    }
}
