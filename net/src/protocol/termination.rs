//! What ends a connection in the middle of a turn.

use crate::connection::close_reason::CloseReason;

/// How a connection ends. A turn passes it boxed: on the usual path nothing ends, and the calls pass
/// a pointer instead of a whole reason.
#[derive(Debug)]
pub(super) enum Termination {
    /// What was written is sent first, and the peer is given time to read it.
    Graceful(CloseReason),
    /// What was written is sent first. The peer has nothing more to say.
    Finished,
    /// At once. What was written and not sent is lost.
    Immediate(CloseReason),
}

impl Termination {
    pub(super) fn graceful(reason: CloseReason) -> Box<Termination> {
        Box::new(Termination::Graceful(reason))
    }

    #[cold]
    pub(super) fn immediate(reason: impl Into<CloseReason>) -> Box<Termination> {
        Box::new(Termination::Immediate(reason.into()))
    }

    pub(super) fn into_reason(self) -> CloseReason {
        match self {
            Termination::Graceful(reason) | Termination::Immediate(reason) => reason,
            Termination::Finished => CloseReason::Finished,
        }
    }
}
