//! The owner of a connection: its limits, and the counters of its bytes.

use std::sync::Arc;

use heist_scheduler::coop::PollInfo;

use crate::connection::close_reason::CloseKind;
use crate::connection::drain_signal::DrainSignal;
use crate::connection::limits::Limits;
use crate::connection::permit::ConnectionPermit;
use crate::connection::set::ConnectionSet;
use crate::socket::meter::Meter;

/// The owner of a connection.
pub(super) enum Owner {
    /// A server, in the task that the server has made: with it comes the permit.
    Server(ConnectionPermit),
    /// Any other task, with what the connection was given, if anything. In a box, as an idle
    /// connection should not pay for what is rare.
    Task(Option<Box<Settings>>),
}

/// What a connection without a permit was given.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) limits: Option<Arc<Limits>>,
    pub(super) meter: Option<Arc<Meter>>,
    /// Of the server that has accepted the connection, whose own task has the permit.
    pub(super) signal: Option<DrainSignal>,
}

impl Owner {
    pub(super) fn set_limits(&mut self, limits: Arc<Limits>) {
        if let Owner::Task(settings) = self {
            settings.get_or_insert_default().limits = Some(limits);
        }
    }

    #[inline]
    pub(super) fn limits(&self) -> &Limits {
        match self {
            Owner::Server(permit) => permit.set().limits(),
            Owner::Task(settings) => settings.as_ref().map_or(&Limits::DEFAULT, |it| it.limits()),
        }
    }

    /// Counts bytes that passed through the socket.
    #[inline(always)]
    pub(super) fn count(&self, info: PollInfo, read: usize, written: usize) {
        let meter = match self {
            Owner::Server(permit) => Some(permit.set().meter()),
            Owner::Task(settings) => settings.as_ref().and_then(|settings| settings.meter()),
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
            Owner::Task(settings) => settings.as_ref().and_then(|settings| settings.set()),
        }
    }

    /// The server's drain, for a connection whose permit is elsewhere.
    pub(super) fn signal(&mut self) -> Option<&mut DrainSignal> {
        match self {
            Owner::Server(_) => None,
            Owner::Task(settings) => settings.as_mut().and_then(|it| it.signal.as_mut()),
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
        if let Owner::Server(permit) = self {
            permit.set_busy(busy);
        } else if let Some(signal) = self.signal() {
            signal.set_busy(busy);
        }
    }

    /// Says how the connection ended. Where the connection has no permit, its future says so.
    pub(super) fn close(&mut self, kind: CloseKind) {
        if let Owner::Server(permit) = self {
            permit.close(kind);
        }
    }
}

impl Settings {
    fn set(&self) -> Option<&ConnectionSet> {
        self.signal.as_ref().map(|signal| &**signal.set())
    }

    fn limits(&self) -> &Limits {
        match (self.set(), &self.limits) {
            (Some(set), _) => set.limits(),
            (None, Some(limits)) => limits,
            (None, None) => &Limits::DEFAULT,
        }
    }

    fn meter(&self) -> Option<&Arc<Meter>> {
        self.set().map(ConnectionSet::meter).or(self.meter.as_ref())
    }
}
