//! What all connections of a server share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist_scheduler::metrics::Counter;
use heist_scheduler::{Handle, PerWorker};

use super::limits::Limits;
use super::metrics::Metrics;
use super::proxy_protocol::trusted_proxies::TrustedProxies;
use crate::connection::budget::Budget;
use crate::connection::set::{ConnectionSet, SetLimits};
use crate::connection::table::AdmissionLimits;
use crate::socket::meter::Meter;

/// What all connections of a server share.
pub struct Shared {
    name: String,
    limits: Limits,
    proxies: TrustedProxies,
    runtime: Handle,
    /// The part of it that each connection needs, whatever serves it.
    connections: Arc<ConnectionSet>,
    /// Requests that were refused because the runtime was overloaded.
    shed: PerWorker<Counter>,
    overloaded: Overloaded,
    /// Whether the files of Unix sockets stay. Relaxed: set before a drain, of which the acceptors
    /// learn under a lock.
    keeps_files: AtomicBool,
}

/// Whether a runtime is overloaded.
pub(super) type Overloaded = Box<dyn Fn(&Handle) -> bool + Send + Sync>;

impl Shared {
    pub(super) fn new(
        name: String,
        limits: Limits,
        proxies: TrustedProxies,
        runtime: &Handle,
        overloaded: Overloaded,
    ) -> Shared {
        Shared {
            name,
            runtime: runtime.clone(),
            connections: Arc::new(ConnectionSet::new(runtime, set_limits(&limits))),
            shed: PerWorker::new(runtime),
            overloaded,
            keeps_files: AtomicBool::new(false),
            limits,
            proxies,
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

    /// The peers that begin with a PROXY header.
    pub fn trusted_proxies(&self) -> &TrustedProxies {
        &self.proxies
    }

    /// The runtime that the server runs on.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Counts the bytes on the server's sockets. Its streams do so by themselves.
    pub fn meter(&self) -> &Arc<Meter> {
        self.connections.meter()
    }

    /// The budget of bytes that all connections together may buffer.
    pub fn buffered(&self) -> &Budget {
        self.connections.buffered()
    }

    /// Whether to refuse new work: the [policy](Limits::shed) says so, and the runtime is overloaded.
    pub fn should_shed(&self) -> bool {
        self.limits.shed && (self.overloaded)(&self.runtime)
    }

    /// Counts a request that was refused because the server [sheds](Shared::should_shed).
    pub fn count_shed(&self) {
        self.shed.with(|shed| shed.add(1));
    }

    /// Whether the server has begun to drain.
    pub fn is_draining(&self) -> bool {
        self.connections.is_draining()
    }

    #[inline]
    pub(crate) fn connections(&self) -> &Arc<ConnectionSet> {
        &self.connections
    }

    pub(super) fn keep_files(&self) {
        self.keeps_files.store(true, Ordering::Relaxed);
    }

    pub(super) fn keeps_files(&self) -> bool {
        self.keeps_files.load(Ordering::Relaxed)
    }

    /// What the server does and has done, but for what only its service counts.
    pub(super) fn metrics(&self) -> Metrics {
        let ConnectionSet { table, .. } = &*self.connections;
        let (counts, connection_time) = table.counts();
        let open = table.open() as u64;
        // Taken at another moment than the number of open ones.
        let active = self.connections.busy().min(open);
        Metrics {
            connections_active: active,
            connections_idle: open - active,
            connections_limit: table.max() as u64,
            accepted: counts.accepted,
            refused: counts.refused(),
            closed: counts.closed(),
            accept_errors: counts.accept_errors.into_iter().collect(),
            connection_time,
            bytes_read: self.meter().bytes_read(),
            bytes_written: self.meter().bytes_written(),
            buffered_bytes: self.buffered().used() as u64,
            buffered_limit: self.buffered().limit() as u64,
            shed: self.shed.sum(Counter::get),
            http: None,
            tls: None,
        }
    }
}

/// What a server's bounds mean for its connections.
fn set_limits(limits: &Limits) -> SetLimits {
    SetLimits {
        admission: AdmissionLimits {
            connections: limits.connections.max(1),
            per_address: limits.per_address.max(1),
            limit_loopback: limits.limit_loopback,
        },
        buffered_bytes: limits.buffered_bytes,
        drain_linger: limits.drain_linger,
        connection: limits.of_connection(),
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}
