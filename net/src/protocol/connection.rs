//! The socket shell of an engine: a future that joins a protocol to a socket.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use heist_scheduler::coop::{self, PollInfo};

use super::Protocol;
use super::engine::Engine;
use super::inbox::{Inbox, Sender};
use super::owner::{Owner, Settings};
use super::socket_shell::{Events, SocketShell};
use crate::connection::close_reason::CloseReason;
use crate::connection::deadlines::DeadlineTimer;
use crate::connection::drain_signal::DrainSignal;
use crate::connection::io::{ConnectionIo, TransportIo};
use crate::connection::limits::Limits;
use crate::connection::permit::ConnectionPermit;
use crate::connection::socket_io::SocketIo;
use crate::connection::transport::Transport;
use crate::socket::stream::Stream;

/// A protocol on a socket, or on another [transport](Connection::on), to be spawned as a task. Its output is the reason why the connection
/// ended.
///
/// Dropping it closes the socket at once, after telling the protocol (`closed`).
///
/// See the [module](super) for an example.
#[must_use = "a connection does nothing unless it is spawned or awaited"]
pub struct Connection<P: Protocol, I: ConnectionIo = SocketIo> {
    /// The first to be dropped, and the socket with it.
    events: Events<P::Message, I>,
    /// `None` once the protocol was taken back, of a connection that has ended.
    engine: Option<Engine<P>>,
    /// Behind the socket: a permit is free for another connection only when it is closed.
    owner: Owner,
}

impl<P: Protocol> Connection<P> {
    /// Puts `protocol` on `stream`, a [`TcpStream`](crate::TcpStream) or a
    /// [`UnixStream`](crate::UnixStream), accepted or connected.
    pub fn new(stream: impl Into<Stream>, protocol: P) -> Connection<P> {
        let (source, meter) = stream.into().into_parts();
        let given = |meter| Settings { meter: Some(meter), ..Settings::default() };
        let settings = meter.map(|meter| Box::new(given(meter)));
        Connection::at(SocketIo::new(source), protocol, Owner::Task(settings))
    }

    /// As [`new`](Connection::new), for a protocol that is to have a [`Sender`] of its own: to give
    /// it to other tasks, so that their answers come back as messages.
    ///
    /// The protocol that holds one does not keep its connection open by it.
    ///
    /// ```
    /// use heist::Runtime;
    /// use heist::net::UnixStream;
    /// use heist::protocol::{Connection, Context, Error, Limits, Protocol, Sender};
    ///
    /// /// Answers each byte with its square, which another task works out.
    /// struct Squares(Sender<u8>);
    ///
    /// impl Protocol for Squares {
    ///     type Message = u8;
    ///
    ///     fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
    ///         let (byte, answers) = (input[0], self.0.clone());
    ///         drop(heist::spawn(async move { answers.send(byte * byte).await }));
    ///         Ok(1)
    ///     }
    ///
    ///     fn message(&mut self, square: u8, cx: &mut Context<'_>) {
    ///         cx.write(&[square]);
    ///     }
    /// }
    ///
    /// Runtime::new()?.block_on(async {
    ///     let (near, mut far) = UnixStream::pair()?;
    ///     drop(heist::spawn(Connection::with_inbox(near, Limits::default(), Squares)));
    ///     far.write_all(&[7]).await?;
    ///     let mut square = [0];
    ///     far.read_exact(&mut square).await?;
    ///     assert_eq!(square, [49]);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_inbox(
        stream: impl Into<Stream>,
        limits: impl Into<Arc<Limits>>,
        make: impl FnOnce(Sender<P::Message>) -> P,
    ) -> Connection<P> {
        let limits = limits.into();
        let inbox = Arc::new(Inbox::new(limits.inbox));
        let protocol = make(Sender::new(Arc::clone(&inbox)));
        let mut connection = Connection::new(stream, protocol).limits(limits);
        connection.events.inbox = Some(inbox);
        connection
    }

    /// Puts `protocol` on `transport`, such as a TLS session.
    pub fn on<T: Transport>(transport: T, protocol: P) -> Connection<P, TransportIo<T>> {
        Connection::at(TransportIo::new(transport), protocol, Owner::Task(None))
    }
}

impl<P: Protocol, I: ConnectionIo> Connection<P, I> {
    fn at(io: I, protocol: P, owner: Owner) -> Connection<P, I> {
        let events = Events { io, timer: DeadlineTimer::new(), inbox: None };
        Connection { events, engine: Some(Engine::new(protocol)), owner }
    }

    /// Puts `protocol` on a connection that a server has accepted. Its bytes are counted for the same
    /// server.
    ///
    /// `permit` comes first: where `make` panics, it is dropped after the socket.
    pub(crate) fn with_permit(
        mut permit: ConnectionPermit,
        io: I,
        make: impl FnOnce() -> P,
    ) -> Connection<P, I> {
        let protocol = permit.guard(|_| make());
        Connection::at(io, protocol, Owner::Server(permit))
    }

    /// As [`with_permit`](Connection::with_permit), for a protocol that has a sender of its own.
    pub(crate) fn with_permit_and_inbox(
        permit: ConnectionPermit,
        io: I,
        make: impl FnOnce(Sender<P::Message>) -> P,
    ) -> Connection<P, I> {
        let inbox = Arc::new(Inbox::new(permit.set().limits().inbox));
        let sender = Sender::new(Arc::clone(&inbox));
        let mut connection = Connection::with_permit(permit, io, || make(sender));
        connection.events.inbox = Some(inbox);
        connection
    }

    /// As [`with_permit`](Connection::with_permit), where the task that the server has made keeps the
    /// permit. Another task may poll the connection.
    pub(crate) fn with_drain_signal(
        mut signal: DrainSignal,
        io: I,
        protocol: P,
    ) -> Connection<P, I> {
        // From here on the engine says when it is busy, and the task need not find out.
        signal.set_busy(false);
        let settings = Settings { signal: Some(signal), ..Settings::default() };
        Connection::at(io, protocol, Owner::Task(Some(Box::new(settings))))
    }

    /// As [`with_drain_signal`](Connection::with_drain_signal), for a protocol that has a sender of
    /// its own.
    pub(crate) fn with_drain_signal_and_inbox(
        signal: DrainSignal,
        io: I,
        make: impl FnOnce(Sender<P::Message>) -> P,
    ) -> Connection<P, I> {
        let inbox = Arc::new(Inbox::new(signal.set().limits().inbox));
        let protocol = make(Sender::new(Arc::clone(&inbox)));
        let mut connection = Connection::with_drain_signal(signal, io, protocol);
        connection.events.inbox = Some(inbox);
        connection
    }

    /// Sets the bounds of this connection. Many connections can share one `Arc`.
    ///
    /// Call it before [`inbox`](Connection::inbox), which takes its bound from it.
    pub fn limits(mut self, limits: impl Into<Arc<Limits>>) -> Connection<P, I> {
        self.owner.set_limits(limits.into());
        self
    }

    /// The way for other tasks to send messages to the protocol.
    ///
    /// ```
    /// use heist::Runtime;
    /// use heist::net::UnixStream;
    /// use heist::protocol::{Connection, Context, Error, Protocol};
    ///
    /// /// Passes on to the peer what other tasks send.
    /// struct Tell;
    ///
    /// impl Protocol for Tell {
    ///     type Message = String;
    ///
    ///     fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
    ///         Ok(input.len())
    ///     }
    ///
    ///     fn message(&mut self, message: String, cx: &mut Context<'_>) {
    ///         cx.write(message.as_bytes());
    ///     }
    /// }
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.block_on(async {
    ///     let (near, mut far) = UnixStream::pair()?;
    ///     let mut connection = Connection::new(near, Tell);
    ///     let sender = connection.inbox();
    ///     drop(heist::spawn(connection));
    ///
    ///     sender.send("hello".to_owned()).await.unwrap();
    ///     let mut greeting = [0; 5];
    ///     far.read_exact(&mut greeting).await?;
    ///     assert_eq!(&greeting, b"hello");
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inbox(&mut self) -> Sender<P::Message> {
        let bound = self.owner.limits().inbox;
        let inbox = self.events.inbox.get_or_insert_with(|| Arc::new(Inbox::new(bound)));
        Sender::new(Arc::clone(inbox))
    }

    /// Runs the connection to its end, and returns the protocol with what it has collected, and why the
    /// connection ended. The protocol was told by [`closed`](Protocol::closed).
    ///
    /// Cancel-safe as the connection itself: dropping the future drops the connection and the protocol.
    ///
    /// ```
    /// use heist::Runtime;
    /// use heist::net::UnixStream;
    /// use heist::protocol::{CloseReason, Connection, Context, Error, Protocol};
    ///
    /// /// Collects what the peer sends.
    /// #[derive(Default)]
    /// struct Collect(Vec<u8>);
    ///
    /// impl Protocol for Collect {
    ///     type Message = std::convert::Infallible;
    ///
    ///     fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
    ///         self.0.extend_from_slice(input);
    ///         Ok(input.len())
    ///     }
    /// }
    ///
    /// Runtime::new()?.block_on(async {
    ///     let (near, mut far) = UnixStream::pair()?;
    ///     let collects = heist::spawn(Connection::new(near, Collect::default()).run());
    ///     far.write_all(b"hello").await?;
    ///     drop(far);
    ///     let (Collect(bytes), reason) = collects.await?;
    ///     assert_eq!(bytes, b"hello");
    ///     assert!(matches!(reason, CloseReason::Finished));
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn run(mut self) -> (P, CloseReason) {
        let reason = (&mut self).await;
        (self.into_protocol(), reason)
    }

    /// The protocol. A connection that has not ended ends as if it were dropped: the protocol is told
    /// that by [`closed`](Protocol::closed), and the socket is closed at once.
    ///
    /// For a connection that was awaited by reference, as beside a time-out.
    pub fn into_protocol(mut self) -> P {
        self.cancel();
        let engine = self.engine.take().expect("the engine is taken once, with the connection");
        engine.into_protocol()
    }

    /// As `poll`, for a connection that is the whole of its task: always polled by that one, and
    /// dropped at its end.
    #[inline]
    pub(crate) fn poll_in_own_task(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        self.poll_as::<true>(cx)
    }

    #[inline]
    fn poll_as<const SAME_TASK: bool>(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        if self.owner.is_force_closed() {
            return self.close(CloseReason::Cancelled);
        }
        let info = ready!(coop::poll_info(cx));
        let Connection { events, engine, owner } = self;
        let engine = match engine {
            Some(engine) if !engine.has_ended() => engine,
            _ => panic!("a Connection was polled after its end"),
        };
        let mut shell = SocketShell::<_, I, SAME_TASK> { events, owner, cx, read: 0, written: 0 };
        let turned = engine.turn(info.now(), &mut shell);
        let (read, written) = (shell.read, shell.written);
        if I::COUNTS {
            return self.finish_poll(info, turned);
        }
        // In each branch, so that the usual one passes no reason on.
        match turned {
            Poll::Pending => {
                self.owner.count(info, read, written);
                Poll::Pending
            }
            Poll::Ready(reason) => {
                self.count_last(info, read, written);
                self.close(reason)
            }
        }
    }

    /// The rest of a poll where the transport has memory of its own, and counts its bytes below.
    fn finish_poll(&mut self, info: PollInfo, turned: Poll<CloseReason>) -> Poll<CloseReason> {
        self.owner.count(info, 0, 0);
        if let Poll::Ready(reason) = turned {
            return self.close(reason);
        }
        let charged = self.owner.set().map(|set| self.events.io.charge(set.buffered()));
        match charged {
            Some(Err(over)) => self.close(CloseReason::Memory(over)),
            _ => Poll::Pending,
        }
    }

    /// Out of line, so that the count of the usual branch can be inline.
    #[cold]
    #[inline(never)]
    fn count_last(&self, info: PollInfo, read: usize, written: usize) {
        self.owner.count(info, read, written);
    }

    #[cold]
    fn close(&mut self, reason: CloseReason) -> Poll<CloseReason> {
        self.end(&reason);
        Poll::Ready(reason)
    }

    /// Ends the connection where it stands, unless it has ended.
    fn cancel(&mut self) {
        let Some(engine) = &self.engine else { return };
        let reason = engine.drop_reason();
        self.end(&reason);
    }

    /// Tells the protocol and all that send to it, once, and then the server.
    fn end(&mut self, reason: &CloseReason) {
        let Some(engine) = &mut self.engine else { return };
        if let Some(set) = self.owner.set() {
            if let Some(charge) = engine.charge() {
                charge.release(set.buffered());
            }
            self.events.io.release(set.buffered());
        }
        if let Some(inbox) = &self.events.inbox {
            inbox.close();
        }
        engine.end(reason);
        self.owner.close(reason.kind());
    }
}

impl<P: Protocol, I: ConnectionIo> Future for Connection<P, I> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        self.get_mut().poll_as::<false>(cx)
    }
}

/// The protocol is never pinned: it is only ever borrowed for a call.
impl<P: Protocol, I: ConnectionIo> Unpin for Connection<P, I> {}

impl<P: Protocol, I: ConnectionIo> Drop for Connection<P, I> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<P: Protocol, I: ConnectionIo> fmt::Debug for Connection<P, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("engine", &self.engine).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
