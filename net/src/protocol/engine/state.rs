//! The state of a connection's protocol.

use std::fmt;
use std::mem;

use heist_scheduler::time::Instant;

use super::buffers::Buffers;
use crate::connection::charge::Charge;
use crate::connection::close_reason::CloseReason;
use crate::protocol::Protocol;

/// A protocol and the state of its connection, but for the socket; see the [module](super).
///
/// While the connection is idle it takes 32 bytes and the protocol.
pub(in crate::protocol) struct Engine<P> {
    /// What the protocol asked for, far in the future if it did not. While the connection closes,
    /// the end of the phase.
    pub(super) deadline: Instant,
    /// When something was last read or written.
    pub(super) last_activity: Instant,
    /// `None` while nothing is kept between the turns.
    pub(super) buffers: Option<Box<Buffers>>,
    pub(super) phase: Phase,
    pub(super) flow: Flow,
    pub(super) drain: Drain,
    /// The input that is kept may hold whole messages: a full output or a pause has stopped the
    /// protocol. Cleared once it has asked for more input.
    pub(super) unfed: bool,
    /// The peer has finished sending, and the protocol was told. Never cleared.
    pub(super) input_ended: bool,
    /// A turn or the end is under way: set by either, and cleared by the turn or by the end that
    /// follows. If the engine is dropped with it, the protocol has panicked.
    pub(super) in_turn: bool,
    pub(super) protocol: P,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The protocol knows nothing of the connection yet.
    New,
    Open,
    /// The last output is on its way, and the peer will be given time to read it.
    Flushing,
    /// The last output is on its way, behind which the socket will be closed.
    Finishing,
    /// Until the peer has closed too.
    Lingering,
    /// The protocol knows that the connection has ended.
    Ended,
}

/// The state of the back-pressure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Running,
    /// The output reached the high watermark: neither read nor take messages.
    Paused,
    /// It has fallen to the low one since. The protocol has not been told yet.
    Resumed,
}

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

impl<P: Protocol> Engine<P> {
    pub(in crate::protocol) fn new(protocol: P) -> Engine<P> {
        Engine {
            deadline: Instant::FAR_FUTURE,
            last_activity: Instant::ZERO,
            buffers: None,
            phase: Phase::New,
            flow: Flow::Running,
            drain: Drain::Untold,
            unfed: false,
            input_ended: false,
            in_turn: false,
            protocol,
        }
    }

    /// Tells the protocol, once, that the connection has ended.
    pub(in crate::protocol) fn end(&mut self, reason: &CloseReason) {
        let phase = mem::replace(&mut self.phase, Phase::Ended);
        if !matches!(phase, Phase::New | Phase::Ended) {
            // Also where no turn has led here: a forced close comes before the turn.
            self.in_turn = true;
            self.protocol.closed(reason);
        }
        self.in_turn = false;
    }

    /// Why a connection ends whose engine is dropped as it is.
    pub(in crate::protocol) fn drop_reason(&self) -> CloseReason {
        match self.in_turn {
            true => CloseReason::Panicked,
            false => CloseReason::Cancelled,
        }
    }

    #[inline]
    pub(in crate::protocol) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// What the server's budget was charged with, to be given back.
    pub(in crate::protocol) fn charge(&mut self) -> Option<&mut Charge> {
        self.buffers.as_mut().map(|buffers| &mut buffers.charge)
    }

    /// The deadline that the protocol asked for.
    pub(in crate::protocol) fn deadline(&self) -> Option<Instant> {
        let open = matches!(self.phase, Phase::New | Phase::Open);
        (open && self.deadline < Instant::FAR_FUTURE).then_some(self.deadline)
    }

    pub(in crate::protocol) fn into_protocol(self) -> P {
        self.protocol
    }

    pub(in crate::protocol) fn protocol(&self) -> &P {
        &self.protocol
    }

    /// The input that is kept, `None` while nothing at all is kept.
    #[cfg(test)]
    pub(in crate::protocol) fn kept_input(&self) -> Option<&[u8]> {
        self.buffers.as_ref().map(|buffers| &buffers.input[..])
    }

    pub(super) fn buffers(&mut self) -> &mut Buffers {
        self.buffers.get_or_insert_default()
    }
}

impl<P> fmt::Debug for Engine<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("phase", &self.phase)
            .field("flow", &self.flow)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
