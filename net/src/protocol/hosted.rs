//! A connection in its place at a server: when it drains, what it buffers, and how it ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use heist_scheduler::coop::Step;
use heist_scheduler::time::Instant;

use super::closed::Closed;
use super::connection::Connection;
use super::inbox::{Inbox, Sender};
use super::limits::Limits;
use super::marks::Marks;
use super::round::Round;
use super::{End, Protocol, Stop};
use crate::meter::Meter;
use crate::server::{Ending, Place, Stay};
use crate::stream::Stream;

/// How far the drain of the server has come with this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drain {
    /// The protocol knows nothing of it.
    Untold,
    /// The protocol was told, and the connection was idle.
    ToldIdle,
    /// The protocol was told after it had been given something to do.
    ToldBusy,
}

/// Where a connection is at home.
pub(super) enum Host {
    /// In a task of its owner's, who may have set something.
    Alone(Option<Box<Own>>),
    /// In its place at a server.
    Seated(Stay),
}

/// What the owner of a connection set.
#[derive(Default)]
pub(super) struct Own {
    pub(super) limits: Option<Arc<Limits>>,
    pub(super) meter: Option<Arc<Meter>>,
}

impl Host {
    pub(super) fn set_limits(&mut self, limits: Arc<Limits>) {
        if let Host::Alone(own) = self {
            own.get_or_insert_default().limits = Some(limits);
        }
    }

    #[inline]
    pub(super) fn limits(&self) -> &Limits {
        let own = match self {
            Host::Seated(stay) => return stay.server().protocol_limits(),
            Host::Alone(own) => own.as_ref().and_then(|own| own.limits.as_deref()),
        };
        own.unwrap_or(&Limits::DEFAULT)
    }

    /// Counts bytes that passed through the socket.
    #[inline]
    pub(super) fn count(&self, step: Step, read: usize, written: usize) {
        let meter = match self {
            Host::Seated(stay) => Some(stay.server().meter()),
            Host::Alone(own) => own.as_ref().and_then(|own| own.meter.as_ref()),
        };
        if let Some(meter) = meter {
            meter.count(step, read, written);
        }
    }

    #[inline]
    pub(super) fn stay(&self) -> Option<&Stay> {
        match self {
            Host::Seated(stay) => Some(stay),
            Host::Alone(_) => None,
        }
    }
}

impl<P: Protocol> Connection<P> {
    /// Puts `protocol` on a stream that was accepted, in its place at the server, and perhaps in a
    /// task that does nothing else.
    pub(crate) fn hosted(stream: Stream, protocol: P, place: Place, own_task: bool) -> Hosted<P> {
        let (source, _) = stream.into_parts();
        let mut connection = Connection::at(source, protocol, Host::Seated(place.into_stay()));
        if own_task {
            connection.marks.set(Marks::OWN_TASK);
        }
        Hosted(connection)
    }

    /// As [`hosted`](Connection::hosted), for a protocol that has a sender of its own.
    pub(crate) fn hosted_with_inbox(
        stream: Stream,
        make: impl FnOnce(Sender<P::Message>) -> P,
        place: Place,
        own_task: bool,
    ) -> Hosted<P> {
        let inbox = Arc::new(Inbox::new(place.server().protocol_limits().inbox));
        let protocol = make(Sender::new(Arc::clone(&inbox)));
        let mut hosted = Connection::hosted(stream, protocol, place, own_task);
        hosted.0.inbox = Some(inbox);
        hosted
    }

    /// Whether the server drains and the protocol is still to be told.
    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        self.drain == Drain::Untold && self.host.stay().is_some_and(Stay::is_draining)
    }

    /// Tells the protocol that the server drains, when it is time to.
    ///
    /// A message that is half there is waited for. A connection that was used just now may have
    /// another message on its way and is waited for, too, unless this round has brought one: the
    /// answer to that is the last.
    #[cold]
    pub(super) fn see_to_drain(&mut self, round: &mut Round<'_>) -> Result<(), Stop> {
        if self.kept.as_ref().is_some_and(|kept| !kept.input.is_empty()) {
            return Ok(());
        }
        if !round.fed && round.now < self.drain_time(round.now) {
            return Ok(());
        }
        let busy = round.fed || self.backlog() > 0;
        self.drain = if busy { Drain::ToldBusy } else { Drain::ToldIdle };
        self.protocol.draining(&mut round.context());
        round.go_on()
    }

    /// Until when one more message is waited for when the server drains.
    pub(super) fn drain_time(&self, now: Instant) -> Instant {
        let linger = self.host.stay().map(|stay| stay.server().limits().drain_linger);
        self.touched.seen_from(now) + linger.unwrap_or_default()
    }

    /// Whether there is anything to [account](Connection::account) for: on the usual path, on which
    /// nothing is kept, there is not.
    #[inline]
    pub(super) fn is_accountable(&self) -> bool {
        self.kept.is_some() || self.host.stay().is_some_and(Stay::is_busy)
    }

    /// Charges the server's budget for what is kept, and says whether the connection is busy.
    pub(super) fn account(&mut self) -> Result<(), Stop> {
        let (Host::Seated(stay), kept) = (&mut self.host, &mut self.kept) else { return Ok(()) };
        stay.set_busy(kept.is_some());
        let Some(kept) = kept else { return Ok(()) };
        let size = kept.size();
        if size != kept.charged {
            let charged = stay.server().buffered().change(kept.charged, size);
            charged.map_err(|over| End::at_once(Closed::Memory(over)))?;
            kept.charged = size;
        }
        Ok(())
    }

    /// Gives back what the budget was charged.
    pub(super) fn discharge(&mut self) {
        if let (Host::Seated(stay), Some(kept)) = (&self.host, &mut self.kept) {
            stay.server().buffered().shrink(std::mem::take(&mut kept.charged));
        }
    }

    fn ending(&self, closed: &Closed) -> Ending {
        closed.ending(match self.drain {
            Drain::Untold => Ending::Finished,
            Drain::ToldIdle => Ending::IdleDrained,
            Drain::ToldBusy => Ending::Drained,
        })
    }
}

/// A connection in its place: the same future, but its output is what the server counts.
pub(crate) struct Hosted<P: Protocol>(Connection<P>);

impl<P: Protocol> Future for Hosted<P> {
    type Output = Ending;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Ending> {
        let closed = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(self.0.ending(&closed))
    }
}
