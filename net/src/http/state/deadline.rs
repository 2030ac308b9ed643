//! How long a connection may stay as it is.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use heist_scheduler::time::Instant;

use super::{HttpState, NO_TIME, Phase};
use crate::connection::close_reason::CloseKind;
use crate::server::Limits;

impl HttpState {
    /// Until when the connection may stay as it is, and how it ends then. `None` stands for the end
    /// that it has by itself.
    #[inline]
    pub(in crate::http) fn deadline(&self) -> (Instant, Option<CloseKind>) {
        let limits = self.limits();
        let blocked = self.blocked.load(Relaxed);
        if blocked != NO_TIME {
            let since = Instant::from_nanos(blocked);
            return (since + limits.write_timeout, Some(CloseKind::WriteTimeout));
        }
        let (limit, close) = self.time_limit(limits);
        (self.since() + limit, close)
    }

    /// From when on hyper's part of the connection may be given up, unless something happens before.
    #[inline]
    pub(in crate::http) fn dormant_at(&self) -> Instant {
        let is_idle = self.phase() != Phase::Head && self.is_between_requests();
        if is_idle { self.since() + DORMANT_AFTER } else { Instant::FAR_FUTURE }
    }

    #[inline]
    fn time_limit(&self, limits: &Limits) -> (Duration, Option<CloseKind>) {
        match self.phase() {
            Phase::Lingering => (limits.linger_timeout, None),
            // The service has no bound, and the body has its own.
            Phase::Serving => (Duration::MAX, None),
            Phase::Upgraded => {
                let limit = self.upgrade.idle_limit().unwrap_or(limits.upgraded_idle_timeout);
                (limit, Some(CloseKind::IdleTimeout))
            }
            _ if self.receiving.load(Relaxed) => (Duration::MAX, None),
            Phase::Head => (limits.header_timeout, Some(CloseKind::HeaderTimeout)),
            Phase::Fresh => {
                self.until_drained(limits, limits.header_timeout, CloseKind::HeaderTimeout)
            }
            Phase::Idle => self.until_drained(limits, limits.idle_timeout, CloseKind::IdleTimeout),
        }
    }

    fn until_drained(
        &self,
        limits: &Limits,
        limit: Duration,
        close: CloseKind,
    ) -> (Duration, Option<CloseKind>) {
        if self.is_closing() && limits.drain_linger < limit {
            return (limits.drain_linger, Some(CloseKind::IdleDrained));
        }
        (limit, Some(close))
    }
}

/// How long a connection idles before hyper's part of it is given up. It is made anew at the cost of a
/// microsecond, and keeps some 12 KB until then.
const DORMANT_AFTER: Duration = Duration::from_secs(5);
