//! A connection in its place at a server: when it drains, what it buffers, and how it ended.

use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use heist_scheduler::time::Instant;

use super::closed::Closed;
use super::connection::Connection;
use super::round::Round;
use super::{End, Protocol, Stop};
use crate::server::{Ending, Place};

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

impl<P: Protocol> Connection<P> {
    /// Puts the connection in its place at a server.
    pub(crate) fn in_place(mut self, place: Place) -> Hosted<P> {
        self.place = Some(place);
        Hosted(self)
    }

    /// Whether the server drains and the protocol is still to be told.
    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        self.drain == Drain::Untold && self.place.as_ref().is_some_and(Place::is_draining)
    }

    /// Tells the protocol that the server drains, when it is time to.
    ///
    /// A message that is half there is waited for. A connection that was used just now may have
    /// another message on its way and is waited for, too, unless this round has brought one: the
    /// answer to that is the last.
    pub(super) fn see_to_drain(&mut self, round: &mut Round) -> Result<(), Stop> {
        if !self.is_draining() || self.kept.as_ref().is_some_and(|kept| !kept.input.is_empty()) {
            return Ok(());
        }
        if !round.fed && round.now < self.drain_time() {
            return Ok(());
        }
        let busy = round.fed || self.backlog() > 0;
        self.drain = if busy { Drain::ToldBusy } else { Drain::ToldIdle };
        self.protocol.draining(&mut round.context());
        round.go_on()
    }

    /// Until when one more message is waited for when the server drains.
    pub(super) fn drain_time(&self) -> Instant {
        let linger = self.place.as_ref().map(|place| place.server().limits().drain_linger);
        self.touched + linger.unwrap_or_default()
    }

    /// Charges the server's budget for what is kept, and says whether the connection is busy.
    /// Nothing is written on the usual path, on which nothing is kept.
    pub(super) fn account(&mut self) -> Result<(), Stop> {
        let (Some(place), kept) = (&mut self.place, &mut self.kept) else { return Ok(()) };
        place.set_busy(kept.is_some());
        let Some(kept) = kept else { return Ok(()) };
        let size = kept.size();
        if size != kept.charged {
            let charged = place.server().buffered().change(kept.charged, size);
            charged.map_err(|over| End::at_once(Closed::Memory(over)))?;
            kept.charged = size;
        }
        Ok(())
    }

    /// Gives back what the budget was charged.
    pub(super) fn discharge(&mut self) {
        if let (Some(place), Some(kept)) = (&self.place, &mut self.kept) {
            place.server().buffered().shrink(std::mem::take(&mut kept.charged));
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
