//! Whom a connection belongs to: its limits, and what counts it.

use std::sync::Arc;

use heist_scheduler::coop::PollInfo;

use crate::connection::limits::Limits;
use crate::connection::place::Stay;
use crate::socket::meter::Meter;

/// Whom a connection belongs to.
pub(super) enum Owner {
    /// Its caller, who may have set something.
    Caller(Option<Box<Settings>>),
    /// A server, which has given it a permit.
    Server(Stay),
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
            Owner::Server(permit) => return permit.server().protocol_limits(),
            Owner::Caller(settings) => settings.as_ref(),
        };
        settings.and_then(|settings| settings.limits.as_deref()).unwrap_or(&Limits::DEFAULT)
    }

    /// Counts bytes that passed through the socket.
    #[inline]
    pub(super) fn count(&self, info: PollInfo, read: usize, written: usize) {
        let meter = match self {
            Owner::Server(permit) => Some(permit.server().meter()),
            Owner::Caller(settings) => settings.as_ref().and_then(|set| set.meter.as_ref()),
        };
        if let Some(meter) = meter {
            meter.count(info, read, written);
        }
    }

    #[inline]
    pub(super) fn permit(&self) -> Option<&Stay> {
        match self {
            Owner::Server(permit) => Some(permit),
            Owner::Caller(_) => None,
        }
    }
}
