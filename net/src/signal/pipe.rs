//! The way of a signal from its handler into the event queue of a runtime.

use std::io::{self, Read};
use std::mem;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll};

use heist_reactor::{Direction, Interest, Kind};
use heist_scheduler::Handle;
use signal_hook::SigId;
use signal_hook::low_level;

use super::kind::SignalKind;
use crate::runtime::driver::{self, Driver};
use crate::runtime::source::Source;

/// A pair of sockets: the handler writes a byte to the one for each signal, and a task reads the other.
///
/// A byte that does not fit is not written. Then the bytes that fill the socket tell of the signal.
#[derive(Debug)]
pub(super) struct SignalPipe {
    // Before the socket: no handler writes to one that nothing reads, which would raise SIGPIPE.
    _handler: HandlerId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Made outside of a runtime: the first poll registers it.
    Unregistered(UnixStream),
    Registered(Source<UnixStream>),
    /// There is no event queue, or it has refused the socket, or has gone with its runtime.
    Failed,
}

/// What the handler does for one pipe, which ends with this.
#[derive(Debug)]
struct HandlerId(SigId);

impl SignalPipe {
    /// Has the handler of `kind` write to it, and registers it with the current runtime, if any.
    pub(super) fn open(kind: SignalKind) -> io::Result<SignalPipe> {
        if !kind.has_handler() {
            let message = format!("signal {} cannot be handled", kind.as_raw_value());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let state = match Handle::try_current() {
            Some(handle) if Driver::of(&handle).is_some() => State::register(reader)?,
            _ => State::Unregistered(reader),
        };
        // Not earlier: where anything before it fails, the default action stays.
        let handler = HandlerId(low_level::pipe::register(kind.as_raw_value(), writer)?);
        Ok(SignalPipe { _handler: handler, state })
    }

    /// Whether a signal has come since the last time that this was ready. An error is for good.
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.state.poll_drain(cx);
        if let Poll::Ready(Err(_)) = polled {
            self.state = State::Failed;
        }
        polled
    }
}

impl State {
    fn register(reader: UnixStream) -> io::Result<State> {
        let source = driver::attach(reader, Interest::Read, Kind::Other)?;
        Ok(State::Registered(Source::new(source)))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self, State::Unregistered(_))
            && let State::Unregistered(reader) = mem::replace(self, State::Failed)
        {
            *self = State::register(reader)?;
        }
        match self {
            State::Registered(source) => source.poll_io(Direction::Read, cx, drain),
            State::Unregistered(_) | State::Failed => Poll::Ready(Err(gone())),
        }
    }
}

/// Reads all bytes: the signals before them have come before this. What is behind them is another one.
fn drain(mut io: &UnixStream) -> io::Result<()> {
    let mut bytes = [0; 512];
    let mut found = false;
    loop {
        match io.read(&mut bytes) {
            // The handler has the other end for as long as this exists.
            Ok(0) => return Err(gone()),
            Ok(count) if count == bytes.len() => found = true,
            Ok(_) => return Ok(()),
            Err(error) if found && error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "no further signal can be received")
}

impl Drop for HandlerId {
    fn drop(&mut self) {
        low_level::unregister(self.0);
    }
}
