//! The engine on a virtual clock, with a made-up peer: for tests of protocols.

mod peer;
mod shell;

use std::fmt;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use heist_scheduler::time::Instant;

use self::shell::TestShell;
use super::Protocol;
use super::engine::Engine;
use super::inbox::{SendError, Sender};
use crate::connection::close_reason::CloseReason;
use crate::connection::limits::Limits;

/// Runs a protocol without a socket and without waiting, to test it.
///
/// It is the engine of a [`Connection`](super::Connection) on a virtual clock, so that all limits
/// are in force, and each call comes in its order. Time stands still until it is told to
/// [`advance`](TestHarness::advance).
///
/// The peer reads everything at once, and closes its side when it has read the end. It can also
/// [stop reading](TestHarness::block_output), [stay open](TestHarness::stay_open) and
/// [reset](TestHarness::reset) the connection. After the end, what happens is ignored.
///
/// Dropping it drops the connection, which the protocol is told.
///
/// See the [module](super) for an example.
pub struct TestHarness<P: Protocol> {
    engine: Engine<P>,
    shell: TestShell<P::Message>,
    closed: Option<CloseReason>,
}

impl<P: Protocol> TestHarness<P> {
    /// Opens a connection with the default limits.
    pub fn new(protocol: P) -> TestHarness<P> {
        TestHarness::with_limits(protocol, Limits::default())
    }

    /// Opens a connection with other limits than the default ones.
    pub fn with_limits(protocol: P, limits: Limits) -> TestHarness<P> {
        TestHarness::with_inbox(limits, |_| protocol)
    }

    /// Opens a connection whose protocol has a [`Sender`] of its own, as
    /// [`Connection::with_inbox`](super::Connection::with_inbox) does.
    pub fn with_inbox(
        limits: Limits,
        make: impl FnOnce(Sender<P::Message>) -> P,
    ) -> TestHarness<P> {
        let shell = TestShell::new(limits);
        let engine = Engine::new(make(shell.sender()));
        let mut harness = TestHarness { engine, shell, closed: None };
        harness.run();
        harness
    }

    /// The peer sends `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.shell.peer.send(bytes);
        self.run();
    }

    /// The peer finishes sending.
    pub fn close_input(&mut self) {
        self.shell.peer.finish_sending();
        self.run();
    }

    /// The peer resets the connection, or the network does: what it has sent and was not read is
    /// lost, and so is output.
    pub fn reset(&mut self) {
        self.shell.peer.reset();
        self.run();
    }

    /// The peer stops reading. The buffers between it and the protocol's connection take `room`
    /// bytes more, then no output is taken until [`unblock_output`](TestHarness::unblock_output).
    pub fn block_output(&mut self, room: usize) {
        self.shell.peer.set_room(room);
    }

    /// The peer reads again, everything at once.
    pub fn unblock_output(&mut self) {
        self.shell.peer.set_room(usize::MAX);
        self.run();
    }

    /// The peer does not close its side when it reads the end of the output.
    pub fn stay_open(&mut self) {
        self.shell.peer.stay_open();
    }

    /// Another task sends `message`.
    ///
    /// # Panics
    ///
    /// If as many messages wait as [`Limits::inbox`] allows: the connection takes none while its
    /// output is blocked.
    #[track_caller]
    pub fn message(&mut self, message: P::Message) {
        if let Err(SendError::Full(_)) = self.shell.sender().try_send(message) {
            panic!("the inbox is full");
        }
        self.run();
    }

    /// The way for other tasks to send messages to the protocol. What was sent is taken at the next
    /// call that lets something happen, such as [`advance`](TestHarness::advance) by no time.
    pub fn inbox(&self) -> Sender<P::Message> {
        self.shell.sender()
    }

    /// The server drains. Its [`drain_linger`](crate::server::Limits::drain_linger) is zero.
    pub fn drain(&mut self) {
        self.shell.begin_drain();
        self.run();
    }

    /// Lets `duration` pass, and each deadline and limit in it.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.shell.now() + duration;
        self.run();
        while self.closed.is_none() && self.shell.advance_to_wake(end) {
            self.run();
        }
        self.shell.advance_to(end);
    }

    /// Takes what the peer has read since it was taken last.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.shell.peer.take_received()
    }

    /// The deadline that the protocol asked for.
    pub fn deadline(&self) -> Option<Instant> {
        self.engine.deadline()
    }

    /// The present time; begins at zero.
    pub fn now(&self) -> Instant {
        self.shell.now()
    }

    /// Why the connection ended, if it has.
    pub fn closed(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// The protocol.
    pub fn protocol(&self) -> &P {
        self.engine.protocol()
    }

    /// Runs turns until there is nothing more to do now.
    fn run(&mut self) {
        while self.closed.is_none() {
            let now = self.shell.begin_turn();
            if let Poll::Ready(reason) = self.engine.turn(now, &mut self.shell) {
                self.end(reason);
            } else if !self.shell.is_woken() {
                return;
            }
        }
    }

    fn end(&mut self, reason: CloseReason) {
        self.shell.close_inbox();
        self.engine.end(&reason);
        self.closed = Some(reason);
    }
}

impl<P: Protocol> Drop for TestHarness<P> {
    fn drop(&mut self) {
        // A test that fails has said what it has to say.
        if self.closed.is_none() && !thread::panicking() {
            let reason = self.engine.drop_reason();
            self.end(reason);
        }
    }
}

impl<P: Protocol> fmt::Debug for TestHarness<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHarness")
            .field("engine", &self.engine)
            .field("now", &self.shell.now())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
