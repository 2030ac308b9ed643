//! What a state knows of its connection, also where it is that of a stream.

use std::sync::Arc;

use heist_scheduler::set_account;
use heist_scheduler::time::Instant;

use super::super::drain_waiters::DrainWaiters;
use super::super::metrics::RequestMetrics;
use super::super::stream_account::StreamAccount;
use super::{HttpState, Owner};
use crate::server::{Limits, Peer, Shared};

impl HttpState {
    /// The state of the connection: this one, unless it is of a stream.
    #[inline]
    pub(super) fn connection(&self) -> &HttpState {
        match &self.owner {
            Owner::Connection { .. } => self,
            Owner::Stream { connection, .. } => connection,
        }
    }

    /// What the stream that this is the state of makes the server hold.
    pub(in crate::http) fn account(&self) -> Option<&StreamAccount> {
        match &self.owner {
            Owner::Connection { .. } => None,
            Owner::Stream { account, .. } => Some(account),
        }
    }

    #[inline]
    pub(in crate::http) fn server(&self) -> &Arc<Shared> {
        match &self.owner {
            Owner::Connection { server, .. } => server,
            Owner::Stream { connection, .. } => connection.server(),
        }
    }

    #[inline]
    pub(in crate::http) fn limits(&self) -> &Limits {
        self.server().limits()
    }

    #[inline]
    pub(in crate::http) fn metrics(&self) -> &RequestMetrics {
        match &self.owner {
            Owner::Connection { metrics, .. } => metrics,
            Owner::Stream { connection, .. } => connection.metrics(),
        }
    }

    #[inline]
    pub(in crate::http) fn peer(&self) -> &Peer {
        match &self.owner {
            Owner::Connection { peer, .. } => peer,
            Owner::Stream { connection, .. } => connection.peer(),
        }
    }

    /// When the connection is to end for its age, once its streams have ended.
    #[inline]
    pub(in crate::http) fn aged_at(&self) -> Instant {
        match &self.owner {
            Owner::Connection { aged_at, .. } => *aged_at,
            Owner::Stream { .. } => Instant::FAR_FUTURE,
        }
    }

    /// Whether the next answer is the last one for the connection's age.
    #[inline]
    pub(in crate::http) fn is_aged(&self) -> bool {
        self.now() >= self.aged_at()
    }

    pub(in crate::http) fn drain_waiters(&self) -> &DrainWaiters {
        match &self.owner {
            Owner::Connection { drain_waiters, .. } => drain_waiters,
            Owner::Stream { connection, .. } => connection.drain_waiters(),
        }
    }

    /// Has the connection's task charged to the connection's account again, after a request whose code may
    /// have chosen another. In that task.
    #[inline]
    pub(in crate::http) fn restore_account(&self) {
        if let Owner::Connection { account, .. } = &self.owner {
            set_account(*account);
        }
    }
}
