//! What is sent: how fast the peer takes it, and how much of it waits.

use std::io;
use std::mem;
use std::task::Poll;

use heist_scheduler::coop;

use super::GuardedIo;
use crate::Transport;
use crate::connection::close_reason::CloseKind;
use crate::connection::rate_monitor::{MinRate, RateMonitor};
use crate::http::state::Phase;

impl<T: Transport> GuardedIo<T> {
    /// Writes by `write`, accounts for the outcome, and returns it to hyper. A write that is pending
    /// wanted to write `wanted` bytes.
    #[inline]
    pub(super) fn poll_write_by(
        &mut self,
        wanted: impl FnOnce() -> usize,
        write: impl FnOnce(&mut T) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let unsent = self.transport.unsent();
        match write(&mut self.transport) {
            Poll::Ready(Ok(count)) => {
                self.after_send(unsent + count)?;
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // The poll's budget is spent, which says nothing of the peer.
            Poll::Pending if !coop::has_budget_remaining() => Poll::Pending,
            Poll::Pending => {
                self.after_send(unsent)?;
                self.on_blocked(wanted())?;
                Poll::Pending
            }
        }
    }

    /// Flushes the transport, or shuts it down, by `flush`.
    #[inline]
    pub(super) fn poll_flush_by(
        &mut self,
        flush: impl FnOnce(&mut T) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        let unsent = self.transport.unsent();
        let flushed = flush(&mut self.transport);
        if flushed.is_pending() && !coop::has_budget_remaining() {
            return Poll::Pending;
        }
        self.after_send(unsent)?;
        match flushed {
            Poll::Pending => {
                self.on_blocked(0)?;
                Poll::Pending
            }
            flushed => flushed,
        }
    }

    /// Of `bytes` that waited in the transport, as many were sent as do not wait there now.
    #[inline]
    fn after_send(&mut self, bytes: usize) -> io::Result<()> {
        match bytes.saturating_sub(self.transport.unsent()) {
            0 => {}
            sent => self.on_taken(sent)?,
        }
        self.charge_held()
    }

    /// The peer took `count` bytes.
    fn on_taken(&mut self, count: usize) -> io::Result<()> {
        self.rate.count(count);
        if self.is_upgraded() {
            self.state.touch(self.now());
        }
        if !self.rate.is_waiting() {
            return Ok(());
        }
        let now = self.now();
        self.rate.end_wait(now);
        self.state.set_blocked(None);
        if self.state.phase() == Phase::Idle {
            // It idles from the end of the answer on, not from when hyper handed that over.
            self.state.enter(Phase::Idle, now);
        }
        self.charge(0)?;
        let limits = self.state.limits();
        let least = MinRate { rate: limits.min_send_rate, grace: limits.rate_grace };
        match self.rate.is_below(least) {
            true => Err(self.fail(CloseKind::TooSlow, "the peer takes its answer too slowly")),
            false => Ok(()),
        }
    }

    /// The peer takes none of `wanted` bytes.
    fn on_blocked(&mut self, wanted: usize) -> io::Result<()> {
        let now = self.now();
        let request = self.state.requests();
        if mem::replace(&mut self.request, request) != request && !self.rate.is_waiting() {
            self.rate = RateMonitor::default();
        }
        if self.rate.begin_wait(now) {
            self.state.set_blocked(Some(now));
        }
        self.charge(wanted)
    }

    /// Makes the server's budget hold `bytes` for what waits to be written.
    fn charge(&mut self, bytes: usize) -> io::Result<()> {
        let budget = self.state.server().buffered();
        self.output_charge.set(budget, bytes).map_err(|_| self.over_budget())
    }
}
