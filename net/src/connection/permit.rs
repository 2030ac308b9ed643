//! The right of one connection to be open.

use std::fmt;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;

use heist_scheduler::time::Instant;

use super::close_reason::CloseKind;
use super::drain_signal::DrainSignal;
use super::refusal::Refusal;
use super::set::ConnectionSet;

/// The right of one connection to be open: the task that serves the connection owns it.
///
/// While it lives, the connection counts towards the bounds of its server, and a drain waits for it.
/// Dropping it releases both, and counts how the connection ended. Its owner drops the socket first:
/// acceptors that wait for descriptors are woken here.
///
/// It never leaves its task. What else wants to know of the drain has a [`DrainSignal`].
pub struct ConnectionPermit {
    set: Arc<ConnectionSet>,
    key: u32,
    busy: bool,
    /// How the connection ended, once that is known. Without it, it was dropped.
    closed: Option<CloseKind>,
    withdrawn: bool,
}

/// Each connection has one: it is part of what an idle connection takes.
const _: () = assert!(size_of::<ConnectionPermit>() <= 16);

impl ConnectionPermit {
    /// Counts a connection in that was accepted at `now`.
    pub(crate) fn acquire(
        set: &Arc<ConnectionSet>,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<ConnectionPermit, Refusal> {
        let key = set.table.admit(address, now)?;
        let key = u32::try_from(key).expect("there are never 2^32 sockets in a process");
        let set = Arc::clone(set);
        Ok(ConnectionPermit { set, key, busy: false, closed: None, withdrawn: false })
    }

    /// Gives it back for a connection that could not begin after all: that one counts neither as
    /// accepted nor as closed.
    pub(crate) fn withdraw(mut self) {
        self.withdrawn = true;
    }

    /// What the connection shares with the others of its server.
    #[inline]
    pub(crate) fn set(&self) -> &Arc<ConnectionSet> {
        &self.set
    }

    /// A signal of the drain, for code that does not own the permit.
    pub(crate) fn drain_signal(&self) -> DrainSignal {
        DrainSignal::new(&self.set, self.key)
    }

    /// Lets code that does not own the permit say whose connection it is, while the permit lives.
    pub(crate) fn attribution(&self) -> Attribution {
        Attribution { set: Arc::clone(&self.set), key: self.key }
    }

    /// Sets the task that is woken when the server drains and when it force-closes connections.
    pub(crate) fn set_task(&self, task: &Waker) {
        self.set.table.set_task(self.key(), task);
    }

    /// Whether the connection is to be dropped.
    #[inline]
    pub(crate) fn is_force_closed(&self) -> bool {
        self.set.is_force_closed()
    }

    /// Says whether the connection is doing something, for the metrics.
    #[inline]
    pub(crate) fn set_busy(&mut self, busy: bool) {
        if mem::replace(&mut self.busy, busy) != busy {
            self.set.count_busy(busy);
        }
    }

    /// Says how the connection ended. The first call counts.
    pub(crate) fn close(&mut self, kind: CloseKind) {
        self.closed.get_or_insert(kind);
    }

    /// Runs code of the connection. If it panics, that is how the connection ended. The code cannot
    /// [close](ConnectionPermit::close) it, as that would be forgotten when the code returns.
    pub(crate) fn guard<R>(&mut self, code: impl FnOnce(&ConnectionPermit) -> R) -> R {
        let closed = self.closed.replace(CloseKind::Panicked);
        let result = code(self);
        self.closed = closed;
        result
    }

    fn key(&self) -> usize {
        self.key as usize
    }
}

/// Says whose connection it is that was accepted without an address. It is dropped before the permit.
pub(crate) struct Attribution {
    set: Arc<ConnectionSet>,
    key: u32,
}

impl Attribution {
    /// Counts the connection to `address`, once.
    ///
    /// # Errors
    ///
    /// The address has too many. The connection is of none then, and its permit stays as it is.
    pub(crate) fn attribute(self, address: IpAddr) -> Result<(), Refusal> {
        self.set.table.attribute(self.key as usize, address)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.set_busy(false);
        if self.withdrawn {
            return self.set.table.withdraw(self.key());
        }
        let kind = self.closed.unwrap_or(CloseKind::Cancelled);
        self.set.table.release(self.key(), kind, self.set.now());
    }
}

impl fmt::Debug for ConnectionPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionPermit")
            .field("key", &self.key)
            .field("busy", &self.busy)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
