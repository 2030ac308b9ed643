//! Whether a connection changes its protocol, and what concerns it after that. Each load and store is
//! Relaxed, as in the rest of the connection's state: a value publishes nothing but itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::shared_transport::Shared;

/// The part of the state that concerns upgrades.
#[derive(Debug)]
pub(super) struct UpgradeState {
    /// An [`Upgrade`]. Written by the connection's task.
    upgrade: AtomicU8,
    /// In nanoseconds, if the service has set one; [`SERVERS`] if not. Written by any task.
    idle_limit: AtomicU64,
    /// A limit was passed for which the connection ends at once. Set by the transport.
    exceeded: AtomicBool,
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

    /// The request asks for an upgrade.
    pub(super) fn ask(&self) {
        self.set(Upgrade::Asked);
    }

    /// The service answers 101. Returns whether the protocol changes: the request has asked for that.
    pub(super) fn grant(&self) -> bool {
        let asked = self.is(Upgrade::Asked);
        if asked {
            self.set(Upgrade::Granted);
        }
        asked
    }

    pub(super) fn is_granted(&self) -> bool {
        self.is(Upgrade::Granted)
    }

    /// How long the other protocol may be idle; `None` if the service has not said so.
    pub(super) fn idle_limit(&self) -> Option<Duration> {
        let nanos = self.idle_limit.load(Relaxed);
        (nanos != SERVERS).then(|| Duration::from_nanos(nanos))
    }

    /// Sets how long the other protocol may be idle.
    pub(super) fn set_idle_limit(&self, limit: Duration) {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.idle_limit.store(nanos.min(SERVERS - 1), Relaxed);
    }

    /// A limit was passed for which the connection ends at once.
    pub(super) fn exceed(&self) {
        self.exceeded.store(true, Relaxed);
    }

    /// Whether [one](UpgradeState::exceed) was.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Relaxed)
    }

    /// From now on `transport` is shared with the connection's task.
    pub(super) fn share(&self, transport: Arc<dyn Shared>) {
        let before = self.transport.lock().replace(transport);
        drop(before);
    }

    /// The transport, if it is shared.
    pub(super) fn take_shared(&self) -> Option<Arc<dyn Shared>> {
        self.transport.lock().take()
    }
}

impl Default for UpgradeState {
    fn default() -> UpgradeState {
        UpgradeState {
            upgrade: AtomicU8::new(Upgrade::None as u8),
            idle_limit: AtomicU64::new(SERVERS),
            exceeded: AtomicBool::new(false),
            transport: Mutex::new(None),
        }
    }
}

/// Stands for the limit of the server.
const SERVERS: u64 = u64::MAX;
