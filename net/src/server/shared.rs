//! What all connections of a server share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist_scheduler::metrics::Counter;
use heist_scheduler::{Account, Handle, OverloadLevel, PerWorker};

use super::accounts::Accounts;
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
    accounts: Accounts,
    runtime: Handle,
    /// The part of it that each connection needs, whatever serves it.
    connections: Arc<ConnectionSet>,
    shed: PerWorker<ShedCounters>,
    overloaded: Overloaded,
    /// Whether the files of Unix sockets stay. Relaxed: set before a drain, of which the acceptors
    /// learn under a lock.
    keeps_files: AtomicBool,
}

/// How far a runtime is overloaded.
pub(super) type Overloaded = Box<dyn Fn(&Handle) -> OverloadLevel + Send + Sync>;

/// Requests that were refused because the runtime was overloaded.
#[derive(Default)]
struct ShedCounters {
    /// Of accounts that used most.
    heavy: Counter,
    /// Of the others.
    other: Counter,
}

impl Shared {
    pub(super) fn new(
        name: String,
        limits: Limits,
        proxies: TrustedProxies,
        accounts: Accounts,
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
            accounts,
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

    /// Which account each connection is charged to.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
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

    /// Whether to refuse new work of `account`: the [policy](Limits::shed) says so, and the runtime is
    /// [overloaded](OverloadLevel). While overload has begun that is the work of accounts that are
    /// [heavy](Handle::is_heavy), and once it stands that of all.
    pub fn should_shed(&self, account: Account) -> bool {
        self.sheds(|| account).is_some()
    }

    /// The account, which is asked for in overload, if its work is to be refused now.
    #[inline]
    pub(crate) fn sheds(&self, account: impl FnOnce() -> Account) -> Option<Account> {
        match self.overload_level() {
            OverloadLevel::None => None,
            OverloadLevel::Begun => {
                Some(account()).filter(|&account| self.runtime.is_heavy(account))
            }
            OverloadLevel::Standing => Some(account()),
        }
    }

    /// Counts a request of `account` that was refused because the server [sheds](Shared::should_shed).
    pub fn count_shed(&self, account: Account) {
        let heavy = self.runtime.is_heavy(account);
        self.shed.with(|shed| if heavy { &shed.heavy } else { &shed.other }.add(1));
    }

    /// Whether to refuse a connection of `account`, as [`should_shed`](Shared::should_shed) says.
    ///
    /// Of an account of its own nothing is known: such a connection is also refused while overload has
    /// begun, unless it goes first. One behind a proxy has no account yet, and is looked at behind its header
    /// if that decides.
    pub(super) fn should_refuse(&self, account: Option<Account>) -> bool {
        match (self.overload_level(), account) {
            (OverloadLevel::None, _) => false,
            (OverloadLevel::Begun, account) if self.accounts.are_shared() => {
                account.is_some_and(|account| self.runtime.is_heavy(account))
            }
            (OverloadLevel::Begun, _) => !self.accounts.go_first(),
            (OverloadLevel::Standing, _) => true,
        }
    }

    #[inline]
    fn overload_level(&self) -> OverloadLevel {
        match self.limits.shed {
            true => (self.overloaded)(&self.runtime),
            false => OverloadLevel::None,
        }
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
            shed_heavy: self.shed.sum(|shed| shed.heavy.get()),
            shed_other: self.shed.sum(|shed| shed.other.get()),
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
