//! Whom a connection belongs to: its limits, and what counts it.

use std::sync::Arc;

use heist_scheduler::coop::PollInfo;

use crate::connection::close_reason::CloseKind;
use crate::connection::drain_signal::DrainSignal;
use crate::connection::limits::Limits;
use crate::connection::permit::ConnectionPermit;
use crate::connection::set::ConnectionSet;
use crate::socket::meter::Meter;

/// Whom a connection belongs to.
pub(super) enum Owner {
    /// Its caller, who may have set something.
    Caller(Option<Box<Settings>>),
    /// A server, in the task that the server has made: with it comes the permit.
    Server(ConnectionPermit),
    /// A server, in a task that need not be that one, which has the permit. In a box, as that is
    /// rare and the signal large.
    Signalled(Box<DrainSignal>),
}

/// What the caller of a connection set.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) limits: Option<Arc<Limits>>,
    pub(super) meter: Option<Arc<Meter>>,
}

impl Owner {
    pub(super) fn set_limits(&mut self, limits: Arc<Limits>) {
        if let Owner::Caller(settings) = self {
            settings.get_or_insert_default().limits = Some(limits);
        }
    }

    #[inline]
    pub(super) fn limits(&self) -> &Limits {
        let settings = match self {
            Owner::Server(permit) => return permit.set().limits(),
            Owner::Signalled(signal) => return signal.set().limits(),
            Owner::Caller(settings) => settings.as_ref(),
        };
        settings.and_then(|settings| settings.limits.as_deref()).unwrap_or(&Limits::DEFAULT)
    }

    /// Counts bytes that passed through the socket.
    #[inline]
    pub(super) fn count(&self, info: PollInfo, read: usize, written: usize) {
        let meter = match self {
            Owner::Server(permit) => Some(permit.set().meter()),
            Owner::Signalled(signal) => Some(signal.set().meter()),
            Owner::Caller(settings) => settings.as_ref().and_then(|set| set.meter.as_ref()),
        };
        if let Some(meter) = meter {
            meter.count(info, read, written);
        }
    }

    /// What the connection shares with the others of its server.
    #[inline]
    pub(super) fn set(&self) -> Option<&ConnectionSet> {
        match self {
            Owner::Server(permit) => Some(permit.set()),
            Owner::Signalled(signal) => Some(signal.set()),
            Owner::Caller(_) => None,
        }
    }

    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        self.set().is_some_and(ConnectionSet::is_draining)
    }

    #[inline]
    pub(super) fn is_force_closed(&self) -> bool {
        self.set().is_some_and(ConnectionSet::is_force_closed)
    }

    /// Says whether the connection is doing something, for the metrics.
    pub(super) fn set_busy(&mut self, busy: bool) {
        match self {
            Owner::Server(permit) => permit.set_busy(busy),
            Owner::Signalled(signal) => signal.set_busy(busy),
            Owner::Caller(_) => {}
        }
    }

    /// Says how the connection ended. Where the connection has no permit, its future says so.
    pub(super) fn close(&mut self, kind: CloseKind) {
        if let Owner::Server(permit) = self {
            permit.close(kind);
        }
    }
}
