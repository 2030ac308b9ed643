//! What a connection is doing.

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It was accepted, and nothing came yet.
    Fresh,
    /// It is between two requests.
    Idle,
    /// A part of a head came.
    Head,
    /// From the call of the service to the end of the answer.
    Serving,
    /// The last answer is out, and what the peer still sends is thrown away.
    Lingering,
    /// It speaks another protocol, by a task of the service.
    Upgraded,
}

impl Phase {
    /// The phase of this number.
    #[inline]
    pub(super) fn of(number: u8) -> Phase {
        PHASES[usize::from(number)]
    }
}

/// Each at the place of its number.
const PHASES: [Phase; 6] =
    [Phase::Fresh, Phase::Idle, Phase::Head, Phase::Serving, Phase::Lingering, Phase::Upgraded];
