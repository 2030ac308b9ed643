//! A connection in its place at a server: when it drains, what it buffers, and how it ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use heist_scheduler::coop::PollInfo;
use heist_scheduler::time::Instant;

use super::connection::Connection;
use super::inbox::{Inbox, Sender};
use super::limits::Limits;
use super::marks::Marks;
use super::round::Round;
use super::{End, Protocol, Stop};
use crate::connection::close_reason::CloseReason;
use crate::server::{Accepted, Peer, Stay};
use crate::socket::meter::Meter;

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
    pub(super) fn count(&self, info: PollInfo, read: usize, written: usize) {
        let meter = match self {
            Host::Seated(stay) => Some(stay.server().meter()),
            Host::Alone(own) => own.as_ref().and_then(|own| own.meter.as_ref()),
        };
        if let Some(meter) = meter {
            meter.count(info, read, written);
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
    /// Puts `protocol` on a stream that was accepted, in its place at the server.
    pub(crate) fn hosted(accepted: Accepted, protocol: P) -> Connection<P> {
        let (source, _) = accepted.stream.into_parts();
        Connection::at(source, protocol, Host::Seated(accepted.place.into_stay()))
    }

    /// As [`hosted`](Connection::hosted), for a protocol that has a sender of its own.
    pub(crate) fn hosted_with_inbox(
        accepted: Accepted,
        make: impl FnOnce(&Peer, Sender<P::Message>) -> P,
    ) -> Connection<P> {
        let inbox = Arc::new(Inbox::new(accepted.place.server().protocol_limits().inbox));
        let protocol = make(&accepted.peer, Sender::new(Arc::clone(&inbox)));
        let mut connection = Connection::hosted(accepted, protocol);
        connection.inbox = Some(inbox);
        connection
    }

    /// Whether the server drains and the protocol is still to be told.
    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        self.drain == Drain::Untold && self.host.stay().is_some_and(Stay::is_draining)
    }

    /// Sees to it that the task that polls is woken when the server drains and when it cuts, where it
    /// need not be the one that the server made. Whenever it is another one than before, the timer does
    /// not know it, so that this is called.
    pub(super) fn hear_of_the_drain(&mut self, round: &mut Round<'_>, cx: &task::Context<'_>) {
        if self.marks.has(Marks::OWN_TASK) {
            return;
        }
        if let Some(stay) = self.host.stay() {
            stay.set_part(cx.waker());
        }
        // It may have begun since the round did.
        round.unfinished |= self.is_draining() && !round.draining;
    }

    /// Tells the protocol that the server drains, when it is time to.
    ///
    /// A message that is half there is waited for, and so is input that a pause holds back. A
    /// connection that was used just now may have another message on its way and is waited for, too,
    /// unless this round has brought one: the answer to that is the last.
    #[cold]
    pub(super) fn see_to_drain(&mut self, round: &mut Round<'_>) -> Result<(), Stop> {
        if self.kept.as_ref().is_some_and(|kept| !kept.input.is_empty()) {
            return Ok(());
        }
        if !round.fed && round.now < self.drain_time(round.now) {
            return Ok(());
        }
        if !round.fed && self.has_unread() {
            round.unfinished |= !self.is_paused(round.now);
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

    /// Charges the server's budget for what is kept, and says whether the connection is busy. Where
    /// nothing has been kept since the last time there is no need to.
    pub(super) fn account(&mut self) -> Result<(), Stop> {
        let (Host::Seated(stay), kept) = (&mut self.host, &mut self.kept) else { return Ok(()) };
        stay.set_busy(kept.is_some());
        let Some(kept) = kept else { return Ok(()) };
        let (size, budget) = (kept.size(), stay.server().buffered());
        kept.charge.set(budget, size).map_err(|over| End::at_once(CloseReason::Memory(over)))
    }

    /// Gives back what the budget was charged.
    pub(super) fn discharge(&mut self) {
        if let (Host::Seated(stay), Some(kept)) = (&self.host, &mut self.kept) {
            kept.charge.release(stay.server().buffered());
        }
    }

    /// Reports to the server, where there is one, why the connection ended.
    pub(super) fn tell_host(&mut self, reason: &CloseReason) {
        if let Host::Seated(stay) = &mut self.host {
            stay.tell(reason.kind());
        }
    }

    /// An end that the protocol chose, told apart by whether the drain had asked for it.
    pub(super) fn drained(&self, reason: CloseReason) -> CloseReason {
        match (reason, self.drain) {
            (reason, Drain::Untold) => reason,
            (CloseReason::Finished | CloseReason::Aborted, Drain::ToldIdle) => {
                CloseReason::IdleDrained
            }
            (CloseReason::Finished | CloseReason::Aborted, Drain::ToldBusy) => CloseReason::Drained,
            (reason, Drain::ToldIdle | Drain::ToldBusy) => reason,
        }
    }
}

/// A connection in its place: what begins it, then the connection. Its output is what the server
/// counts.
pub(crate) enum Hosted<B, P: Protocol> {
    /// What begins it runs in the task, so that a panic in it ends this connection and not the
    /// acceptor. `None` once it has been taken to run. Boxed, so that for this moment no connection
    /// is larger for as long as it lives.
    New(Option<Box<(B, Accepted)>>),
    Open(Connection<P>),
}

impl<B, P> Hosted<B, P>
where
    B: FnOnce(Accepted) -> Connection<P>,
    P: Protocol,
{
    /// A connection that is the whole of its task, so that this keeps what is known of its place.
    pub(crate) fn alone(accepted: Accepted, begin: B) -> Hosted<B, P> {
        Hosted::New(Some(Box::new((begin, accepted))))
    }

    #[cold]
    fn begin(&mut self, cx: &task::Context<'_>) {
        if let Hosted::New(new) = self {
            let new = new.take().expect("nothing is polled after it panicked");
            let (begin, mut accepted) = *new;
            accepted.place.begin(cx.waker());
            let mut connection = begin(accepted);
            connection.marks.set(Marks::OWN_TASK);
            *self = Hosted::Open(connection);
        }
    }
}

impl<B, P> Future for Hosted<B, P>
where
    B: FnOnce(Accepted) -> Connection<P>,
    P: Protocol,
{
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        let this = self.get_mut();
        loop {
            if let Hosted::Open(connection) = this {
                return Pin::new(connection).poll(cx);
            }
            this.begin(cx);
        }
    }
}

/// Neither what begins a connection nor the connection is ever pinned.
impl<B, P: Protocol> Unpin for Hosted<B, P> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Context, Error};

    struct Nothing;

    impl Protocol for Nothing {
        type Message = std::convert::Infallible;

        fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
            Ok(input.len())
        }
    }

    #[test]
    fn connection_in_its_place_takes_no_more_than_elsewhere() {
        type Begin = fn(Accepted) -> Connection<Nothing>;
        // In debug builds mio adds to each socket.
        let debug = size_of::<crate::socket::sys::Stream>() - 8;
        let size = size_of::<Hosted<Begin, Nothing>>();
        assert!(size <= 104 + debug, "{size}");
    }
}
