//! How connections end, and why some never begin.

/// How a connection of a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// In order: one side closed it when nothing was under way.
    Finished,
    /// It was idle when the drain began, and was closed.
    IdleDrained,
    /// It finished what it was doing while the server drained.
    Drained,
    /// It was dropped in the middle: at the end of the grace, or with its runtime.
    Cut,
    /// Nothing was read or written for too long.
    IdleTimeout,
    /// The head of a request, or a message, did not come to its end in time.
    HeaderTimeout,
    /// The body of a request stood still for too long.
    BodyTimeout,
    /// The peer took none of the output for too long.
    WriteTimeout,
    /// The peer sent or took bytes, but fewer a second than the least that is allowed.
    TooSlow,
    /// The server's budget of buffered bytes was used up.
    Memory,
    /// The peer did not keep to the protocol.
    Protocol,
    /// The transport failed: reset, unreachable.
    Lost,
    /// The code that served it panicked.
    Panicked,
}

impl Ending {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Ending; 13] = [
        Ending::Finished,
        Ending::IdleDrained,
        Ending::Drained,
        Ending::Cut,
        Ending::IdleTimeout,
        Ending::HeaderTimeout,
        Ending::BodyTimeout,
        Ending::WriteTimeout,
        Ending::TooSlow,
        Ending::Memory,
        Ending::Protocol,
        Ending::Lost,
        Ending::Panicked,
    ];

    /// As the label `reason` of a metric says it.
    pub fn label(self) -> &'static str {
        match self {
            Ending::Finished => "finished",
            Ending::IdleDrained => "idle_drained",
            Ending::Drained => "drained",
            Ending::Cut => "cut",
            Ending::IdleTimeout => "idle_timeout",
            Ending::HeaderTimeout => "header_timeout",
            Ending::BodyTimeout => "body_timeout",
            Ending::WriteTimeout => "write_timeout",
            Ending::TooSlow => "too_slow",
            Ending::Memory => "memory",
            Ending::Protocol => "protocol",
            Ending::Lost => "lost",
            Ending::Panicked => "panicked",
        }
    }
}

/// Why a connection was closed before it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// As many connections of the peer's address are open as may be.
    PerAddress,
    /// The runtime has more to do than it can.
    Overload,
    /// It was accepted as the server drained, and what was left was dropped before it had a place.
    Draining,
    /// There were no descriptors, memory or task for it, and nobody whose end would free some.
    Exhausted,
}

impl Refusal {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Refusal; 4] =
        [Refusal::PerAddress, Refusal::Overload, Refusal::Draining, Refusal::Exhausted];

    /// As the label `reason` of a metric says it.
    pub fn label(self) -> &'static str {
        match self {
            Refusal::PerAddress => "per_address",
            Refusal::Overload => "overload",
            Refusal::Draining => "draining",
            Refusal::Exhausted => "exhausted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_and_refusal_is_found_at_its_own_place() {
        for (index, ending) in Ending::ALL.into_iter().enumerate() {
            assert_eq!(ending as usize, index, "{ending:?}");
        }
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, index, "{refusal:?}");
        }
    }
}
