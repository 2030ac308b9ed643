//! Whether a connection changes its protocol, and what concerns it after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use heist_scheduler::time::Instant;
use parking_lot::Mutex;

use super::{HttpState, NO_TIME, Phase};
use crate::http::shared_io::Shared;
use crate::server::Limits;

/// The part of the state that concerns upgrades.
#[derive(Debug)]
pub(super) struct UpgradeState {
    /// An [`Upgrade`]. Written by the connection's task.
    upgrade: AtomicU8,
    /// The [idle limit](Limits::upgraded_idle_timeout) in nanoseconds, if the service has set another
    /// one; [`NO_TIME`] if not. Written by any task.
    idle_limit: AtomicU64,
    /// The transport, once a request asks for an upgrade. Given by the transport, taken by the
    /// connection's task. Holding this = the right to do either.
    transport: Mutex<Option<Arc<dyn Shared>>>,
}

/// Whether the protocol changes behind the present request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Upgrade {
    None,
    /// The request asks for it.
    Asked,
    /// The answer is 101.
    Granted,
}

impl UpgradeState {
    /// A request came, which asks for nothing so far.
    pub(super) fn begin_request(&self) {
        self.set(Upgrade::None);
    }

    fn set(&self, upgrade: Upgrade) {
        self.upgrade.store(upgrade as u8, Relaxed);
    }

    fn is(&self, upgrade: Upgrade) -> bool {
        self.upgrade.load(Relaxed) == upgrade as u8
    }

    pub(super) fn idle_limit(&self, limits: &Limits) -> Duration {
        match self.idle_limit.load(Relaxed) {
            NO_TIME => limits.upgraded_idle_timeout,
            nanos => Duration::from_nanos(nanos),
        }
    }
}

impl Default for UpgradeState {
    fn default() -> UpgradeState {
        UpgradeState {
            upgrade: AtomicU8::new(Upgrade::None as u8),
            idle_limit: AtomicU64::new(NO_TIME),
            transport: Mutex::new(None),
        }
    }
}

impl HttpState {
    /// The present request asks for an upgrade.
    pub(in crate::http) fn ask_upgrade(&self) {
        self.upgrade.set(Upgrade::Asked);
    }

    /// The service answers 101. Returns whether the protocol changes: the request has asked for that,
    /// and is here whole.
    pub(in crate::http) fn grant_upgrade(&self) -> bool {
        let is_whole = !self.receiving.load(Relaxed) && !self.left_unread();
        let granted = self.upgrade.is(Upgrade::Asked) && is_whole;
        if granted {
            self.upgrade.set(Upgrade::Granted);
        }
        granted
    }

    /// The answer to the present request is out, or will not come.
    pub(in crate::http) fn end_request(&self, now: Instant) {
        let is_upgraded = self.upgrade.is(Upgrade::Granted);
        self.enter(if is_upgraded { Phase::Upgraded } else { Phase::Idle }, now);
    }

    /// Bytes of the other protocol went in either direction.
    pub(in crate::http) fn touch(&self, now: Instant) {
        self.since.store(now.as_nanos(), Relaxed);
    }

    /// The time of the runtime, wherever that is asked.
    pub(in crate::http) fn clock_now(&self) -> Instant {
        self.server.runtime().clock().now()
    }

    /// Sets how long the other protocol may be idle.
    pub(in crate::http) fn set_upgraded_idle(&self, limit: Duration) {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.upgrade.idle_limit.store(nanos.min(NO_TIME - 1), Relaxed);
    }

    /// From now on `transport` is shared with the connection's task.
    pub(in crate::http) fn share(&self, transport: Arc<dyn Shared>) {
        let before = self.upgrade.transport.lock().replace(transport);
        drop(before);
    }

    /// The transport, if it is shared.
    pub(in crate::http) fn take_shared(&self) -> Option<Arc<dyn Shared>> {
        self.upgrade.transport.lock().take()
    }
}
