//! What all connections of a server share.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use heist_scheduler::Handle;
use heist_scheduler::PerWorker;
use heist_scheduler::metrics::Counter;

use super::connections::Connections;
use super::limits::Limits;
use super::metrics::Metrics;
use crate::connection::budget::Budget;
use crate::protocol;
use crate::socket::meter::Meter;

/// What all connections of a server share. Each has a reference to it, by its
/// [`Place`](super::Place).
pub struct Shared {
    name: String,
    limits: Limits,
    runtime: Handle,
    buffered: Budget,
    meter: Arc<Meter>,
    pub(crate) connections: Connections,
    pub(crate) figures: PerWorker<Figures>,
    overloaded: Overloaded,
    /// The bounds of each connection, where the engine serves them: here, so that no connection
    /// has to hold them.
    protocol_limits: OnceLock<protocol::Limits>,
    /// Whether the files of Unix sockets are to stay. Relaxed: set before a drain, of which the
    /// acceptors learn under a lock.
    keeps_files: AtomicBool,
}

/// Whether a runtime has more to do than it can.
pub(crate) type Overloaded = Box<dyn Fn(&Handle) -> bool + Send + Sync>;

/// What connections count while they are served.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Connections that are doing something now. One stripe may be below zero.
    pub(crate) busy: Counter,
    /// Requests that were refused because the runtime was overloaded.
    shed: Counter,
}

impl Shared {
    pub(crate) fn new(
        name: String,
        limits: Limits,
        runtime: &Handle,
        overloaded: Overloaded,
    ) -> Shared {
        Shared {
            name,
            runtime: runtime.clone(),
            buffered: Budget::new(limits.buffered_bytes),
            meter: Arc::new(Meter::new(runtime)),
            connections: Connections::new(&limits),
            figures: PerWorker::new(runtime),
            overloaded,
            protocol_limits: OnceLock::new(),
            keeps_files: AtomicBool::new(false),
            limits,
        }
    }

    /// The server's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server's bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The runtime that the server runs on.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Counts the bytes on the server's sockets. Its streams do so by themselves.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// The budget of bytes that all connections together may buffer.
    pub fn buffered(&self) -> &Budget {
        &self.buffered
    }

    /// Whether new work is to be refused: the [policy](Limits::shed) says so, and the runtime is
    /// overloaded.
    pub fn sheds(&self) -> bool {
        self.limits.shed && (self.overloaded)(&self.runtime)
    }

    /// Counts a request that was refused because the server [sheds](Shared::sheds).
    pub fn count_shed(&self) {
        self.figures.with(|figures| figures.shed.add(1));
    }

    /// Whether the server has begun to drain.
    pub fn is_draining(&self) -> bool {
        self.connections.is_draining()
    }

    /// The bounds of each connection that the engine serves; by default they follow from the
    /// server's.
    #[inline]
    pub(crate) fn protocol_limits(&self) -> &protocol::Limits {
        self.protocol_limits.get_or_init(|| self.limits.of_connection())
    }

    /// Sets those bounds, before the server accepts anybody.
    pub(crate) fn set_protocol_limits(&self, limits: protocol::Limits) {
        let set = self.protocol_limits.set(limits);
        debug_assert!(set.is_ok(), "a server has one service, which sets the bounds once");
    }

    pub(crate) fn keep_files(&self) {
        self.keeps_files.store(true, Ordering::Relaxed);
    }

    pub(crate) fn keeps_files(&self) -> bool {
        self.keeps_files.load(Ordering::Relaxed)
    }

    /// What the server does and has done, but for what only its service counts.
    pub(crate) fn metrics(&self) -> Metrics {
        let (counts, connection_time) = self.connections.counts();
        let open = self.connections.open() as u64;
        // Taken at another moment than the number of open ones.
        let active = self.figures.sum(|figures| figures.busy.get()).min(open);
        Metrics {
            connections_active: active,
            connections_idle: open - active,
            connections_limit: self.connections.bound() as u64,
            accepted: counts.accepted,
            refused: counts.refused(),
            closed: counts.closed(),
            accept_errors: counts.accept_errors.into_iter().collect(),
            connection_time,
            bytes_read: self.meter.bytes_read(),
            bytes_written: self.meter.bytes_written(),
            buffered_bytes: self.buffered.used() as u64,
            buffered_limit: self.buffered.limit() as u64,
            shed: self.figures.sum(|figures| figures.shed.get()),
            http: None,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}
