//! What surrounds an engine: the two traits through which a turn takes and gives.

use std::io;
use std::task::Poll;
use std::time::Duration;

use heist_scheduler::time::Instant;

use crate::connection::budget::OverBudget;
use crate::connection::charge::Charge;
use crate::connection::limits::Limits;
use crate::protocol::inbox::Taken;

/// The bytes of a connection, in both directions.
///
/// What an implementation must do:
/// - no call waits. `Pending` means that there is nothing to do now;
/// - a method that is called `poll_…` and is pending brings another turn once it no longer would
///   be. A method that is called `try_…` does not;
/// - bytes that it has read ahead of the engine count as input that is there;
/// - after `Ok(0)` of a read, the input is ready again only for an error.
pub(in crate::protocol) trait Io {
    /// One read, if input is known to be there. 0 bytes are the end of the input.
    fn try_read(&mut self, space: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Whether input, its end or an error may be there.
    ///
    /// # Errors
    /// The input cannot be waited for. The connection is whole otherwise.
    fn poll_readable(&mut self) -> Poll<io::Result<()>>;

    /// Whether input is there, also such as no event has told of yet.
    fn has_unread(&self) -> bool;

    /// As [`has_unread`](Io::has_unread), but looks only where an event has told of input.
    fn has_known_unread(&self) -> bool;

    /// An error of the connection that reads do not tell of, as after the end of the input.
    fn take_error(&mut self) -> io::Result<Option<io::Error>>;

    /// One write, in the hope that there is room for all of it. Returns how much was taken, 0 if
    /// there is no room now.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// As [`try_write`](Io::try_write), of the last bytes before the end.
    fn try_write_last(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// One write. Returns how much was taken, at least one byte.
    fn poll_write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Tells the peer that nothing more comes. It may still send.
    fn poll_shut_down(&mut self) -> Poll<io::Result<()>>;

    /// The connection has ended, and the peer has nothing more to say. Tells it so, unless the drop of
    /// the transport does. Returns whether nothing is left to do.
    fn try_close(&mut self) -> bool;
}

/// What else a turn needs: the connection's limits, messages, the server's drain and memory, and
/// the next turn.
pub(in crate::protocol) trait Shell: Io {
    /// The type of the protocol's messages.
    type Message;

    /// The bounds of the connection.
    fn limits(&self) -> &Limits;

    /// The time now. That of the turn is when it began, which is long ago if a call has taken long.
    fn time_now(&self) -> Instant;

    /// Spends one operation of the turn's budget. Pending once none is left; another turn comes.
    fn poll_budget(&mut self) -> Poll<()>;

    /// Whether there can be messages.
    fn has_inbox(&self) -> bool;

    /// The next message of another task.
    fn poll_message(&mut self) -> Poll<Taken<Self::Message>>;

    /// Whether another task wants the connection to end at once.
    fn poll_abort(&mut self) -> Poll<()>;

    /// Whether the server drains.
    fn is_draining(&self) -> bool;

    /// How long after its last use a connection may still be sent a message when the server drains.
    fn drain_linger(&self) -> Duration;

    /// Reports whether the connection keeps something between its turns.
    fn set_busy(&mut self, busy: bool);

    /// Charges the server's budget with the bytes that the connection keeps.
    fn charge(&self, charge: &mut Charge, bytes: usize) -> Result<(), OverBudget>;

    /// Whether a turn comes at `deadline` or before without more ado, and none is due at `now`.
    fn covers(&self, deadline: Instant, now: Instant) -> bool;

    /// Has a turn come at `deadline` or before. Ready if that time has passed already.
    fn wake_at(&mut self, deadline: Instant, now: Instant) -> Poll<()>;

    /// Has another turn come as soon as other tasks have had theirs.
    fn wake(&mut self);
}
