//! The echo on one connection.

use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist::http::{DrainSignal, UpgradedConnection};
use heist::server::{CloseKind, Shared};
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::blocking::Blocking;

/// Sends each message back until either side closes. The next one is read when the last one is sent:
/// a peer that takes nothing fills no memory.
pub(super) struct Echo {
    socket: WebSocket<Blocking>,
    connection: UpgradedConnection,
    drain: DrainSignal,
    stage: Stage,
    /// What is left to send of the last message.
    reply: Option<Reply>,
    /// Something was given to the socket that may wait in a buffer.
    unflushed: bool,
    /// How much had been received when the last message was complete.
    received: u64,
    /// How much was dropped since the connection has failed.
    discarded: usize,
    charge: Charge,
}

/// How far the connection has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// A close was sent, and that of the peer is awaited: the server drains.
    Closing,
    /// The last bytes are on their way.
    Ending,
    /// So they are, and the peer may still send.
    Failing,
}

/// A message to be sent, in frames: the memory of a frame is all that it takes a second time.
struct Reply {
    /// The first frame says the kind, the others continue it.
    kind: Data,
    rest: Bytes,
}

impl Echo {
    /// Messages of at most `max_message` bytes are taken.
    pub(super) fn new(
        upgraded: Upgraded,
        connection: UpgradedConnection,
        drain: DrainSignal,
        max_message: usize,
    ) -> Echo {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Each write is passed on, and flushed by the echo.
            .write_buffer_size(0)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let charge = Charge { server: Arc::clone(connection.server()), bytes: 0 };
        let blocking = Blocking::new(upgraded);
        Echo {
            socket: WebSocket::from_raw_socket(blocking, Role::Server, Some(config)),
            connection,
            drain,
            stage: Stage::Open,
            reply: None,
            unflushed: false,
            received: 0,
            discarded: 0,
            charge,
        }
    }

    /// One step: sends what there is to send, or reads a message. Ready with true when the connection
    /// has ended.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.stage == Stage::Open && self.drain.poll_draining(cx).is_ready() {
            self.reply = None;
            self.stage = Stage::Closing;
            self.close(CloseCode::Away, "the server stops");
        }
        if self.unflushed {
            match self.socket.flush() {
                Ok(()) => self.unflushed = false,
                Err(error) => return self.fail(error),
            }
        }
        if matches!(self.stage, Stage::Ending | Stage::Failing) {
            // A failure is that of a peer that is gone, or that no longer listens.
            let _ = ready!(self.socket.get_mut().poll_shutdown(cx));
            return if self.stage == Stage::Ending { Poll::Ready(true) } else { self.discard() };
        }
        let done = match self.reply.as_mut().map(Reply::next_frame) {
            Some(frame) => {
                self.reply.take_if(|reply| reply.rest.is_empty());
                self.unflushed = true;
                self.socket.write(Message::Frame(frame))
            }
            None => self.socket.read().map(|message| self.receive(message)),
        };
        match done {
            Ok(()) => Poll::Ready(false),
            Err(error) => self.fail(error),
        }
    }

    fn receive(&mut self, message: Message) {
        self.received = self.socket.get_ref().received();
        // Pongs, and the answer to a close, are sent by the socket.
        self.unflushed = true;
        self.reply = match message {
            // After a close nothing is sent.
            _ if self.stage != Stage::Open => None,
            Message::Text(text) => Some(Reply { kind: Data::Text, rest: text.into() }),
            Message::Binary(rest) => Some(Reply { kind: Data::Binary, rest }),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
        };
    }

    /// Ends the connection because of `error`, unless that only says to wait.
    fn fail(&mut self, error: Error) -> Poll<bool> {
        let (kind, code, why) = match error {
            Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Error::Capacity(_) => (CloseKind::Protocol, CloseCode::Size, "the message is too long"),
            Error::Utf8(_) => (CloseKind::Protocol, CloseCode::Invalid, "the text is not UTF-8"),
            Error::Protocol(_) if self.socket.can_read() => {
                (CloseKind::Protocol, CloseCode::Protocol, "this is malformed")
            }
            Error::ConnectionClosed | Error::AlreadyClosed => {
                (self.stage, self.unflushed) = (Stage::Ending, false);
                return Poll::Ready(false);
            }
            // The connection is lost, which the server has noticed.
            _ => return Poll::Ready(true),
        };
        self.end(kind, code, why);
        Poll::Ready(false)
    }

    /// Ends the connection, which counts as ended by `kind`.
    fn end(&mut self, kind: CloseKind, code: CloseCode, why: &'static str) {
        self.connection.close_as(kind);
        self.reply = None;
        self.close(code, why);
        self.stage = Stage::Failing;
        self.connection.set_idle_timeout(self.charge.server.limits().linger_timeout);
    }

    /// Reads and drops what the peer still sends: a reset would destroy the close on its way. Ready
    /// with true at its end, or when it is too much.
    fn discard(&mut self) -> Poll<bool> {
        match self.socket.get_mut().read(&mut [0; READ_BUFFER]) {
            Ok(count @ 1..) => {
                self.discarded += count;
                // It is not held.
                self.received += count as u64;
                Poll::Ready(self.discarded > self.charge.server.limits().linger_bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(true),
        }
    }

    fn close(&mut self, code: CloseCode, reason: &'static str) {
        // What cannot be sent now is sent by the next flush, whose error is not lost.
        let _ = self.socket.close(Some(CloseFrame { code, reason: reason.into() }));
        self.unflushed = true;
    }

    /// What is held in memory for the peer: an incomplete message, and the one that is sent back.
    fn held(&self) -> usize {
        let incomplete = self.socket.get_ref().received() - self.received;
        let reply = self.reply.as_ref().map_or(0, |reply| reply.rest.len());
        usize::try_from(incomplete).unwrap_or(usize::MAX).saturating_add(reply)
    }
}

impl Future for Echo {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.socket.get_mut().wake(cx);
        for _ in 0..STEPS {
            let step = this.poll_step(cx);
            if this.charge.set(this.held()).is_err() && this.stage == Stage::Open {
                this.end(CloseKind::Memory, CloseCode::Again, "the server has no memory for this");
                continue;
            }
            if ready!(step) {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Reply {
    /// Takes the next frame, the last one if nothing is left then.
    fn next_frame(&mut self) -> Frame {
        let payload = self.rest.split_to(self.rest.len().min(FRAME));
        let kind = std::mem::replace(&mut self.kind, Data::Continue);
        Frame::message(payload, OpCode::Data(kind), self.rest.is_empty())
    }
}

/// A charge to the server's budget of buffered bytes, until it is dropped.
struct Charge {
    server: Arc<Shared>,
    bytes: usize,
}

impl Charge {
    /// Charges `bytes` from now on. If they exceed the budget, as many as before stay charged.
    fn set(&mut self, bytes: usize) -> Result<(), heist::server::OverBudget> {
        self.server.buffered().change(self.bytes, bytes)?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.server.buffered().shrink(self.bytes);
    }
}

/// How much is read at once. Each connection has a buffer of this size while it is open.
const READ_BUFFER: usize = 4 * 1024;

/// The longest frame that is sent.
const FRAME: usize = 64 * 1024;

/// After so many steps of one connection others have their turn.
const STEPS: usize = 32;
