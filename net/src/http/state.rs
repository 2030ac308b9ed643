//! What the parts of one connection share: the transport, the service, bodies, and the deadlines
//! around them.
//!
//! All of them run in the connection's own task, one after the other, except that a service may read
//! its request's body in another task, and use the transport there after an upgrade. So the atomics here
//! are cells that may be shared. Each load and store is Relaxed: a value publishes nothing but itself.

mod body;
mod bulk;
mod deadline;
mod extensions;
mod owner;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use heist_scheduler::Account;
use heist_scheduler::time::Instant;
use hyper::StatusCode;
use hyper::http::Extensions;

use super::age;
use super::drain_waiters::DrainWaiters;
use super::expectation::Expectation;
use super::failure::Failure;
use super::metrics::RequestMetrics;
pub(super) use super::phase::Phase;
use super::stream_account::StreamAccount;
use super::upgrade_state::UpgradeState;
use crate::connection::close_reason::CloseKind;
use crate::server::{Peer, Shared};

/// The state of one connection, or of one stream of an HTTP/2 connection. The transport, the service,
/// each request's body and each exchange have a reference to it.
#[derive(Debug)]
pub(super) struct HttpState {
    owner: Owner,
    /// A [`Phase`]. Written by the connection's task.
    phase: AtomicU8,
    /// When the phase began. Written by the connection's task, and by a body that outlives its
    /// answer.
    since: AtomicU64,
    /// When the poll of the connection's task began. Written by the connection's task.
    now: AtomicU64,
    /// Since when the peer takes nothing, [`NO_TIME`] if it does. Written by the transport.
    blocked: AtomicU64,
    /// How many requests came. Written by the service.
    requests: AtomicU64,
    /// The next answer is the last. Set once, by the connection's task.
    closing: AtomicBool,
    /// The body of the present request is there and not at its end. Set by the service, cleared by
    /// the body.
    receiving: AtomicBool,
    /// The body was dropped before its end, and the peer may still be sending it. Written like
    /// `receiving`.
    left_unread: AtomicBool,
    /// The transport is to peek for bytes whose event is still in the queue. Set where time is over,
    /// cleared by the transport.
    peek: AtomicBool,
    /// The outcome of the peek. Cleared with each request to peek.
    unread: AtomicBool,
    /// hyper has a large buffer, or is to be made anew with one. Written by the transport.
    bulk: AtomicBool,
    rebuild: AtomicBool,
    upgrade: UpgradeState,
    /// Set by the service, raised by the body, cleared by the transport.
    expectation: Expectation,
    /// A [`Failure`]. Cleared by the service, set by the body and the transport.
    failure: AtomicU32,
}

/// What a state is of.
#[derive(Debug)]
enum Owner {
    Connection {
        server: Arc<Shared>,
        metrics: Arc<RequestMetrics>,
        peer: Peer,
        /// Of the connection's task while no request is served.
        account: Account,
        /// What the transport adds to each request, and the peer. Set once, before the first, where the
        /// transport adds something.
        extensions: OnceLock<Extensions>,
        /// When it is to end for its age.
        aged_at: Instant,
        /// The tasks that wait for the drain. Woken by the connection's task, and at the end of the
        /// transport.
        drain_waiters: DrainWaiters,
    },
    /// Of HTTP/2.
    Stream { connection: Arc<HttpState>, account: StreamAccount },
}

impl HttpState {
    pub(super) fn new(
        server: Arc<Shared>,
        peer: Peer,
        accepted_at: Instant,
        metrics: Arc<RequestMetrics>,
    ) -> Arc<HttpState> {
        let drain_waiters = DrainWaiters::default();
        let aged_at = age::end(accepted_at, server.limits());
        let extensions = OnceLock::new();
        let account = heist_scheduler::account();
        let owner = Owner::Connection {
            server,
            metrics,
            peer,
            account,
            extensions,
            aged_at,
            drain_waiters,
        };
        Arc::new(HttpState::of(owner, accepted_at))
    }

    /// The state of a stream, whose request came in the present poll.
    pub(super) fn of_stream(connection: &Arc<HttpState>, account: StreamAccount) -> Arc<HttpState> {
        let owner = Owner::Stream { connection: Arc::clone(connection), account };
        Arc::new(HttpState::of(owner, connection.now()))
    }

    fn of(owner: Owner, accepted_at: Instant) -> HttpState {
        HttpState {
            owner,
            phase: AtomicU8::new(Phase::Fresh as u8),
            since: AtomicU64::new(accepted_at.as_nanos()),
            now: AtomicU64::new(accepted_at.as_nanos()),
            blocked: AtomicU64::new(NO_TIME),
            requests: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            receiving: AtomicBool::new(false),
            left_unread: AtomicBool::new(false),
            peek: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            bulk: AtomicBool::new(false),
            rebuild: AtomicBool::new(false),
            upgrade: UpgradeState::default(),
            expectation: Expectation::none(),
            failure: AtomicU32::new(Failure::NONE.to_bits()),
        }
    }

    /// A poll of the connection's task begins.
    #[inline]
    pub(super) fn begin_poll(&self, now: Instant) {
        self.now.store(now.as_nanos(), Relaxed);
    }

    /// When the present poll began.
    #[inline]
    pub(super) fn now(&self) -> Instant {
        Instant::from_nanos(self.connection().now.load(Relaxed))
    }

    #[inline]
    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Relaxed))
    }

    #[inline]
    pub(super) fn since(&self) -> Instant {
        Instant::from_nanos(self.since.load(Relaxed))
    }

    #[inline]
    pub(super) fn enter(&self, phase: Phase, since: Instant) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(since.as_nanos(), Relaxed);
    }

    /// Bytes came. The first ones after a request are the beginning of the next one's head; the
    /// time of the first request counts from the accept.
    #[inline]
    pub(super) fn received(&self) {
        match self.phase() {
            Phase::Fresh => self.phase.store(Phase::Head as u8, Relaxed),
            Phase::Idle => self.enter(Phase::Head, self.now()),
            Phase::Head | Phase::Serving | Phase::Lingering | Phase::Upgraded => {}
        }
    }

    /// Whether what happens next is that bytes come, or that their time is over.
    #[inline]
    pub(super) fn waits_for_bytes(&self) -> bool {
        self.blocked.load(Relaxed) == NO_TIME
            && matches!(self.phase(), Phase::Fresh | Phase::Idle | Phase::Head)
    }

    /// Has the transport peek for bytes at its next read that finds none.
    pub(super) fn request_peek(&self) {
        let connection = self.connection();
        connection.unread.store(false, Relaxed);
        connection.peek.store(true, Relaxed);
    }

    /// Whether the transport is to peek; once for each request.
    #[inline]
    pub(super) fn take_peek_request(&self) -> bool {
        self.peek.load(Relaxed) && self.peek.swap(false, Relaxed)
    }

    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Relaxed);
    }

    /// Whether bytes were seen that wait to be read.
    pub(super) fn has_unread(&self) -> bool {
        self.connection().unread.load(Relaxed)
    }

    /// A request came, with a body to receive or none, and that may wait for `100 Continue`.
    /// Returns when that was: in a poll that serves several, the end of the one before.
    #[inline]
    pub(super) fn begin_request(&self, receiving: bool, expects: bool) -> Instant {
        let mut since = self.now();
        if self.phase() == Phase::Idle {
            since = since.max(self.since());
        }
        self.enter(Phase::Serving, since);
        self.requests.store(self.requests.load(Relaxed) + 1, Relaxed);
        self.receiving.store(receiving, Relaxed);
        self.left_unread.store(false, Relaxed);
        self.expectation.begin(expects);
        self.upgrade.begin_request();
        self.set_failure(Failure::NONE);
        since
    }

    #[inline]
    pub(super) fn upgrade(&self) -> &UpgradeState {
        &self.upgrade
    }

    /// The service answers 101. Returns whether the protocol changes: the request has asked for that,
    /// and is here whole.
    pub(super) fn grant_upgrade(&self) -> bool {
        !self.receiving.load(Relaxed) && !self.left_unread() && self.upgrade.grant()
    }

    /// The answer to the present request is out, or will not come.
    #[inline]
    pub(super) fn end_request(&self, now: Instant) {
        self.enter(if self.upgrade.is_granted() { Phase::Upgraded } else { Phase::Idle }, now);
    }

    /// Bytes of the other protocol went in either direction.
    pub(super) fn touch(&self, now: Instant) {
        self.since.store(now.as_nanos(), Relaxed);
    }

    /// The time of the runtime, wherever that is asked.
    pub(super) fn clock_now(&self) -> Instant {
        self.server().runtime().clock().now()
    }

    #[inline]
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// The input is answered with `status` and never becomes a request.
    pub(super) fn refuse(&self, status: StatusCode) {
        self.metrics().refuse(status);
        self.set_failure(match status {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::BODY_TOO_LONG,
            _ => Failure::of_connection(CloseKind::Protocol),
        });
    }

    /// The next answer is the last one.
    pub(super) fn close_after_answer(&self) {
        self.closing.store(true, Relaxed);
    }

    #[inline]
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// The peer takes nothing since `since`; `None` if it does.
    #[inline]
    pub(super) fn set_blocked(&self, since: Option<Instant>) {
        self.blocked.store(since.map_or(NO_TIME, Instant::as_nanos), Relaxed);
    }

    #[inline]
    pub(super) fn set_failure(&self, failure: Failure) {
        self.failure.store(failure.to_bits(), Relaxed);
    }

    #[inline]
    pub(super) fn failure(&self) -> Failure {
        Failure::from_bits(self.failure.load(Relaxed))
    }
}

impl Drop for HttpState {
    fn drop(&mut self) {
        if let Owner::Stream { account, connection } = &self.owner {
            account.close(self.now().max(self.since()));
            connection.metrics().end_stream();
        }
    }
}

/// Later than all times there are.
const NO_TIME: u64 = u64::MAX;
