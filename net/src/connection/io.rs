//! What carries the bytes of an engine's connection: a plain socket, or a transport on top of one.

use std::io;
use std::task::{Context, Poll};

use super::budget::{Budget, OverBudget};
use super::charge::Charge;

/// The bytes of a connection, as its shell needs them.
///
/// It is the engine's `Io` with the context of the poll. The contract is the same:
/// - a method that is called `poll_…` and is pending has the task woken once it no longer would be;
/// - bytes that were read ahead count as input that is there.
pub trait ConnectionIo: Send {
    /// Whether the bytes that pass the socket are counted below. If not, the connection counts them.
    const COUNTS: bool;

    /// One read, if input is known to be there. 0 bytes are the end of the input.
    fn try_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Whether input, its end or an error may be there. `SAME_TASK`: the task is always the same.
    fn poll_readable<const SAME_TASK: bool>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>;

    /// Whether input is there, also such as no event has told of yet.
    fn has_unread(&self) -> bool;

    /// As [`has_unread`](ConnectionIo::has_unread), but looks only where an event has told of input.
    fn has_known_unread(&self) -> bool;

    /// An error of the socket that reads do not tell of.
    fn take_error(&mut self) -> io::Result<Option<io::Error>>;

    /// One write, in the hope that there is room for all of it. Returns how much was taken, 0 if there
    /// is no room now.
    fn try_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize>;

    /// As [`try_write`](ConnectionIo::try_write), of the last bytes before the end.
    fn try_write_last(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize>;

    /// One write. Returns how much was taken, at least one byte. After a write that was pending or
    /// took nothing, the next one begins with the same bytes.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Tells the peer that nothing more comes. It may still send.
    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// As [`poll_shut_down`](ConnectionIo::poll_shut_down) where the peer has nothing more to say, and
    /// not done where the drop says it. Returns whether nothing is left to do.
    fn try_close<const SAME_TASK: bool>(&mut self, cx: &mut Context<'_>) -> bool;

    /// Charges `budget` with what waits below the engine.
    fn charge(&mut self, budget: &Budget) -> Result<(), OverBudget> {
        let _ = budget;
        Ok(())
    }

    /// Gives back what was charged.
    fn release(&mut self, budget: &Budget) {
        let _ = budget;
    }
}

/// A transport, and what the engine need not know of it.
///
/// A transport takes bytes before it has sent them. The engine is told that they were taken once they
/// were sent: so what waits stays visible as the engine's own output, with its limits of time, rate and
/// memory.
pub struct TransportIo<T> {
    pub(super) transport: T,
    /// Bytes at the front of the engine's output that the transport has taken and not yet sent.
    pub(super) untold: usize,
    /// The sending direction is shut down: what still comes is read below the transport, and dropped.
    pub(super) shut_down: bool,
    pub(super) charge: Charge,
}

impl<T> TransportIo<T> {
    pub(crate) fn new(transport: T) -> TransportIo<T> {
        TransportIo { transport, untold: 0, shut_down: false, charge: Charge::default() }
    }
}
