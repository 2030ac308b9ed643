//! What a registration asks the kernel for, and what a read of the source means.

use crate::readiness::{Bits, Direction};

/// The events that the kernel is asked for when a source is registered.
///
/// A direction that is not among them is not lost: it counts as ready until an operation would
/// block, and the kernel is asked for it, by one more system call, when a task first has to wait
/// for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// None yet: for a connection, which can be written to at once and may have bytes to read. A
    /// connection that is over before it has to wait costs no system call of the queue.
    None,
    /// Reading: for listeners.
    Read,
    /// Writing: for the sending end of a pipe.
    Write,
    /// Both: for a socket that is connecting, which is not writable before it is connected.
    ReadWrite,
}

impl Interest {
    /// The flags of the word at the start.
    pub(crate) fn bits(self) -> Bits {
        match self {
            Interest::None => Bits::READABLE | Bits::WRITABLE,
            Interest::Read => Direction::Read.armed() | Bits::WRITABLE,
            Interest::Write => Direction::Write.armed() | Bits::READABLE,
            Interest::ReadWrite => Direction::Read.armed() | Direction::Write.armed(),
        }
    }

    pub(crate) fn to_mio(self, kind: Kind) -> Option<mio::Interest> {
        match self {
            Interest::None => None,
            Interest::Read => Some(kind.reading()),
            Interest::Write => Some(mio::Interest::WRITABLE),
            Interest::ReadWrite => Some(kind.both()),
        }
    }
}

/// What a short read of the source means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A TCP connection: a read that returns fewer bytes than there was room for has drained it,
    /// unless it reported a close, an error or urgent data.
    Stream,
    /// Any other source: only `WouldBlock` means drained.
    Other,
}

impl Kind {
    /// A stream asks for urgent data too, because a read ends short before it.
    pub(crate) fn reading(self) -> mio::Interest {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Kind::Stream => mio::Interest::READABLE | mio::Interest::PRIORITY,
            _ => mio::Interest::READABLE,
        }
    }

    pub(crate) fn both(self) -> mio::Interest {
        self.reading() | mio::Interest::WRITABLE
    }

    pub(crate) fn short_read_drains(self, seen: Bits) -> bool {
        self == Kind::Stream && REPORTS_URGENT_DATA && !seen.forbids_short_read()
    }
}

/// Where the system does not report urgent data, a short read proves nothing.
const REPORTS_URGENT_DATA: bool = cfg!(any(target_os = "linux", target_os = "android"));
