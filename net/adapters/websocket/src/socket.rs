//! An open WebSocket.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_net::http::{self, UpgradedConnection};
use heist_net::server::{self, Shared};
use heist_scheduler::Handle;
use heist_scheduler::time::{Instant, Timer};
use hyper::upgrade::Upgraded;
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::adapter::{Adapter, ByteStream, Refusal};
use crate::error::Error;
use crate::limits::Limits;

/// An open WebSocket on the side of the server.
///
/// It belongs to one task. It reads only while that reads: then it also answers pings, sees the close of
/// the peer and the drain of the server. While a message or a pong waits for the peer to take it, nothing
/// is read. The server bounds how long the peer may take nothing
/// ([`write_timeout`](heist_net::server::Limits::write_timeout)), and how long nothing may be read or
/// written ([`upgraded_idle_timeout`](heist_net::server::Limits::upgraded_idle_timeout)); the pings of
/// either side count as something.
///
/// Dropping it ends the connection without a close handshake; [`close`](WebSocket::close) makes one.
pub struct WebSocket<S: ByteStream = Upgraded> {
    inner: tungstenite::WebSocket<Adapter<S>>,
    limits: Limits,
    connection: Option<UpgradedConnection>,
    drain: Drain,
    stage: Stage,
    /// tungstenite has output that is not flushed.
    unflushed: bool,
    timer: Timer,
}

/// What tells of a drain.
enum Drain {
    None,
    Request(http::DrainSignal),
    Server(server::DrainSignal),
}

/// How far the WebSocket has come.
enum Stage {
    Open,
    /// Close was sent, and the peer's is waited for.
    Closing,
    /// Close is sent because of an error, which is returned next.
    Failing(Error),
    Over,
}

impl WebSocket<Upgraded> {
    pub(crate) fn upgraded(
        stream: Upgraded,
        connection: UpgradedConnection,
        drain: Option<http::DrainSignal>,
        limits: Limits,
    ) -> WebSocket<Upgraded> {
        let adapter = Adapter::new(stream, limits.received());
        let config = Some(limits.config());
        let role = tungstenite::protocol::Role::Server;
        let inner = tungstenite::WebSocket::from_raw_socket(adapter, role, config);
        let mut socket = WebSocket::new(inner, limits).charged_to(Arc::clone(connection.server()));
        socket.connection = Some(connection);
        socket.drain = drain.map_or(Drain::None, Drain::Request);
        socket
    }
}

impl<S: ByteStream> WebSocket<S> {
    pub(crate) fn new(inner: tungstenite::WebSocket<Adapter<S>>, limits: Limits) -> WebSocket<S> {
        WebSocket {
            inner,
            limits,
            connection: None,
            drain: Drain::None,
            stage: Stage::Open,
            unflushed: false,
            timer: Timer::new(),
        }
    }

    /// Charges what it buffers to the budget of `server`. One that was upgraded does so already.
    pub fn charged_to(mut self, server: Arc<Shared>) -> WebSocket<S> {
        self.inner.get_mut().charge(server);
        self
    }

    /// Has it close when `drain` says so. One that was upgraded does so already.
    pub fn closed_by(mut self, drain: server::DrainSignal) -> WebSocket<S> {
        self.drain = Drain::Server(drain);
        self
    }

    /// The next text or binary message; `None` once the WebSocket is closed, by either side or because
    /// the server drains. Pings are answered, and together with pongs skipped.
    ///
    /// Cancel-safe: no message is lost.
    ///
    /// # Errors
    ///
    /// [`Error`], once. Where the peer is to blame it has been sent a Close then.
    pub async fn read(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// Polls for what [`read`](WebSocket::read) returns.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        self.inner.get_mut().poll_as(cx);
        loop {
            if matches!(self.stage, Stage::Open) && self.poll_draining(cx).is_ready() {
                self.begin_close(CloseCode::Away, "the server drains");
            }
            if self.unflushed {
                match self.poll_flush_now() {
                    Poll::Ready(Err(error)) => return Poll::Ready(self.end(Err(error))),
                    // One that closes reads on, for the Close of the peer; it answers no ping.
                    Poll::Pending if !matches!(self.stage, Stage::Closing) => {
                        return Poll::Pending;
                    }
                    _ => {}
                }
            }
            match self.stage {
                Stage::Failing(_) => return Poll::Ready(self.end(Ok(()))),
                Stage::Over => return Poll::Ready(Ok(None)),
                Stage::Open | Stage::Closing => {}
            }
            match self.inner.read() {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    self.inner.get_mut().end_message();
                    // What came behind our Close cannot be answered any more.
                    if matches!(self.stage, Stage::Open) {
                        return Poll::Ready(Ok(Some(message)));
                    }
                }
                Ok(Message::Ping(payload)) => {
                    self.inner.get_mut().end_control(payload.len());
                    // The pong goes out before anything else is read, so that at most one waits.
                    self.unflushed = true;
                }
                Ok(Message::Pong(payload)) => self.inner.get_mut().end_control(payload.len()),
                Ok(Message::Close(_) | Message::Frame(_)) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_give_up(cx));
                    return Poll::Ready(self.end(Ok(())));
                }
                Err(error) => self.fail(error),
            }
        }
    }

    /// Sends a message, and waits until all of it is written.
    ///
    /// Cancel-safe in this sense: a message is sent whole, by the next call of any method, or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once either side has closed the WebSocket, otherwise that the connection is lost.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        // Whatever waits from before goes first, so that no more than one message is buffered.
        self.flush().await?;
        if !matches!(self.stage, Stage::Open) {
            return Err(Error::Closed);
        }
        match self.inner.write(message.into()) {
            Ok(()) => {}
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Error::of(error)),
        }
        self.unflushed = true;
        self.flush().await
    }

    /// Sends a ping, whose answer resets the idle limit as the ping does.
    ///
    /// # Errors
    ///
    /// As [`send`](WebSocket::send).
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.send(Message::Ping(Default::default())).await
    }

    /// Closes the WebSocket: sends Close, and waits for that of the peer, for
    /// [`Limits::close_timeout`] at most. What else the peer sends is dropped.
    ///
    /// # Errors
    ///
    /// That the connection is lost, or that the peer breaks the rules.
    pub async fn close(mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if matches!(self.stage, Stage::Open) {
            self.begin_close(code, reason);
        }
        while self.read().await?.is_some() {}
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| {
            self.inner.get_mut().poll_as(cx);
            match self.unflushed {
                true => self.poll_flush_now(),
                false => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    fn poll_flush_now(&mut self) -> Poll<Result<(), Error>> {
        match self.inner.flush() {
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Poll::Pending;
            }
            // The next read says so.
            Ok(()) | Err(tungstenite::Error::ConnectionClosed) => {}
            Err(error) => return Poll::Ready(Err(Error::of(error))),
        }
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn begin_close(&mut self, code: CloseCode, reason: &str) {
        self.send_close(code, reason);
        self.stage = Stage::Closing;
    }

    /// tungstenite sends it with the next flush.
    fn send_close(&mut self, code: CloseCode, reason: &str) {
        // Its outcome is that of the flush, which is tried again.
        let _ = self.inner.close(Some(CloseFrame { code, reason: reason.into() }));
        self.unflushed = true;
    }

    /// Ends the WebSocket because of an error of tungstenite, or of the close handshake's end.
    fn fail(&mut self, error: tungstenite::Error) {
        let error = match self.inner.get_ref().refusal() {
            Some(Refusal::TooManyFragments) => {
                Error::TooLong("the fragments take more than the message".to_owned())
            }
            Some(Refusal::Memory(error)) => Error::Memory(error),
            None => Error::of(error),
        };
        self.unflushed = false;
        if let Some(code) = error.code() {
            self.send_close(code, "");
        }
        self.stage = Stage::Failing(error);
    }

    /// The WebSocket is over; this is what its service is told.
    fn end(&mut self, flushed: Result<(), Error>) -> Result<Option<Message>, Error> {
        self.inner.get_mut().end_message();
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let outcome = match stage {
            Stage::Failing(Error::Closed) | Stage::Closing => Ok(None),
            Stage::Failing(error) => Err(error),
            Stage::Open | Stage::Over => flushed.map(|()| None),
        };
        if let (Err(error), Some(connection)) = (&outcome, &self.connection) {
            connection.close_as(error.kind());
        }
        outcome
    }

    /// Whether the server drains.
    fn poll_draining(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.drain {
            Drain::None => Poll::Pending,
            Drain::Server(drain) => drain.poll_draining(cx),
            Drain::Request(drain) => match drain.poll_draining(cx) {
                Poll::Ready(()) if drain.is_draining() => Poll::Ready(()),
                _ => Poll::Pending,
            },
        }
    }

    /// Ready once a close handshake has taken too long. Outside of a runtime there is no timer, and
    /// the server's limits bound it.
    fn poll_give_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.stage, Stage::Closing) || Handle::try_current().is_none() {
            return Poll::Pending;
        }
        if self.timer.deadline().is_none() {
            self.timer.set(Some(Instant::of_poll() + self.limits.close_timeout));
        }
        self.timer.poll_elapsed(cx)
    }
}

impl<S: ByteStream> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("is_open", &matches!(self.stage, Stage::Open))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
