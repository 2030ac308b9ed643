//! What all connections of one server share.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use heist_scheduler::metrics::Counter;
use heist_scheduler::time::{Clock, Instant};
use heist_scheduler::{Handle, PerWorker};

use super::budget::Budget;
use super::limits::Limits;
use super::table::{AdmissionLimits, ConnectionTable};
use crate::socket::meter::Meter;

/// What all connections of one server share. Each has a reference to it, by its permit.
pub(crate) struct ConnectionSet {
    pub(crate) table: ConnectionTable,
    clock: Clock,
    meter: Arc<Meter>,
    buffered: Budget,
    drain_linger: Duration,
    /// The bounds of each connection that the engine serves: here, so that no connection holds them.
    default_limits: Limits,
    /// What the service sets instead, before the server accepts.
    service_limits: OnceLock<Limits>,
    /// Connections that are doing something now. The part of one worker may be below zero.
    busy: PerWorker<Counter>,
}

/// The bounds of a set.
pub(crate) struct SetLimits {
    pub(crate) admission: AdmissionLimits,
    /// Bytes that all connections together may buffer.
    pub(crate) buffered_bytes: usize,
    /// How long a connection that was used just before a drain may still send a request.
    pub(crate) drain_linger: Duration,
    /// Of each connection that the engine serves.
    pub(crate) connection: Limits,
}

impl ConnectionSet {
    pub(crate) fn new(runtime: &Handle, limits: SetLimits) -> ConnectionSet {
        ConnectionSet {
            table: ConnectionTable::new(limits.admission),
            clock: runtime.clock().clone(),
            meter: Arc::new(Meter::new(runtime)),
            buffered: Budget::new(limits.buffered_bytes),
            drain_linger: limits.drain_linger,
            default_limits: limits.connection,
            service_limits: OnceLock::new(),
            busy: PerWorker::new(runtime),
        }
    }

    /// The time, also where there is no runtime any more.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Counts the bytes on the sockets.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// The bytes that all connections together may buffer.
    pub(crate) fn buffered(&self) -> &Budget {
        &self.buffered
    }

    /// How long a connection that was used just before a drain may still send a request.
    pub(crate) fn drain_linger(&self) -> Duration {
        self.drain_linger
    }

    /// The bounds of each connection that the engine serves.
    #[inline]
    pub(crate) fn limits(&self) -> &Limits {
        self.service_limits.get().unwrap_or(&self.default_limits)
    }

    /// Sets those bounds, before the server accepts.
    pub(crate) fn set_limits(&self, limits: Limits) {
        let set = self.service_limits.set(limits);
        debug_assert!(set.is_ok(), "a server has one service, which sets the bounds once");
    }

    /// Counts a connection that becomes busy or idle.
    pub(super) fn count_busy(&self, busy: bool) {
        self.busy.with(|count| match busy {
            true => count.add(1),
            false => count.subtract(1),
        });
    }

    /// How many connections are busy. It is taken at another moment than the number of open ones.
    pub(crate) fn busy(&self) -> u64 {
        self.busy.sum(Counter::get)
    }

    /// Whether the server has begun to drain.
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.table.is_draining()
    }

    /// Whether the connections that are left are dropped.
    #[inline]
    pub(crate) fn is_force_closed(&self) -> bool {
        self.table.is_force_closed()
    }
}
