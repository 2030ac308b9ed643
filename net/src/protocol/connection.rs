//! The engine: a future that joins a protocol to a socket.
//!
//! What it is made of, in the order of a connection's life: [`round`](super::round) while it is
//! open, [`closing`](super::closing) from then on.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use heist_reactor::Source;
use heist_scheduler::time::Instant;

use super::hosted::{Drain, Host, Own};
use super::inbox::{Inbox, Sender};
use super::limits::Limits;
use super::marks::Marks;
use super::output::Kept;
use super::{End, Protocol};
use crate::connection::close_reason::CloseReason;
use crate::connection::coarse_instant::CoarseInstant;
use crate::connection::deadlines::DeadlineTimer;
use crate::server::Stay;
use crate::socket::stream::Stream;
use crate::socket::sys;

/// A protocol on a socket, to be spawned as a task. Its output is the reason why the connection
/// ended.
///
/// Dropping it closes the socket at once, after telling the protocol (`closed`).
///
/// See the [module](super) for an example.
#[must_use = "a connection does nothing unless it is spawned or awaited"]
pub struct Connection<P: Protocol> {
    pub(super) source: Source<sys::Stream>,
    /// For the deadline and the limits together; see [`deadlines`](super::deadlines).
    pub(super) timer: DeadlineTimer,
    /// What the protocol asked for; far in the future if it did not.
    pub(super) deadline: Instant,
    /// When something was last read or written.
    pub(super) touched: CoarseInstant,
    pub(super) inbox: Option<Arc<Inbox<P::Message>>>,
    pub(super) kept: Option<Box<Kept>>,
    pub(super) phase: Phase,
    pub(super) flow: Flow,
    pub(super) drain: Drain,
    pub(super) marks: Marks,
    pub(super) protocol: P,
    /// Behind the source: a place is free only when the socket is closed.
    pub(super) host: Host,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The protocol knows nothing of the connection yet.
    New,
    Open,
    /// The last output is on its way, and the peer will be given time to read it.
    Flushing,
    /// The last output is on its way, behind which the socket will be closed.
    Finishing,
    /// Until the peer has closed too.
    Lingering,
    /// The protocol knows that the connection has ended.
    Ended,
}

/// The state of the back-pressure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Running,
    /// The output reached the high watermark: neither read nor take messages.
    Paused,
    /// It fell to the low one since, of which the protocol has not been told.
    Resumed,
}

impl<P: Protocol> Connection<P> {
    /// Puts `protocol` on `stream`, a [`TcpStream`](crate::TcpStream) or a
    /// [`UnixStream`](crate::UnixStream), accepted or connected.
    pub fn new(stream: impl Into<Stream>, protocol: P) -> Connection<P> {
        let (source, meter) = stream.into().into_parts();
        let own = meter.map(|meter| Box::new(Own { limits: None, meter: Some(meter) }));
        Connection::at(source, protocol, Host::Alone(own))
    }

    /// As [`new`](Connection::new), for a protocol that is to have a [`Sender`] of its own: to give
    /// it to other tasks, so that their answers come back as messages.
    ///
    /// The protocol that holds one does not keep its connection open by it.
    ///
    /// ```
    /// use heist_net::protocol::{Context, Error, Limits, Protocol, Sender};
    /// use heist_net::{Connection, Runtime, UnixStream};
    ///
    /// /// Answers each byte with its square, which somebody else works out.
    /// struct Squares(Sender<u8>);
    ///
    /// impl Protocol for Squares {
    ///     type Message = u8;
    ///
    ///     fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
    ///         let (byte, answers) = (input[0], self.0.clone());
    ///         drop(heist_scheduler::spawn(async move { answers.send(byte * byte).await }));
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
    ///     drop(heist_scheduler::spawn(Connection::with_inbox(near, Limits::default(), Squares)));
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
        connection.inbox = Some(inbox);
        connection
    }

    pub(super) fn at(source: Source<sys::Stream>, protocol: P, host: Host) -> Connection<P> {
        Connection {
            source,
            timer: DeadlineTimer::new(),
            deadline: Instant::FAR_FUTURE,
            touched: CoarseInstant::at(Instant::ZERO),
            inbox: None,
            kept: None,
            phase: Phase::New,
            flow: Flow::Running,
            drain: Drain::Untold,
            marks: Marks::NONE,
            protocol,
            host,
        }
    }

    /// Sets the bounds of this connection. Many connections can share one `Arc`.
    ///
    /// Call it before [`inbox`](Connection::inbox), which takes its bound from it.
    pub fn limits(mut self, limits: impl Into<Arc<Limits>>) -> Connection<P> {
        self.host.set_limits(limits.into());
        self
    }

    /// The way for other tasks to send messages to the protocol.
    ///
    /// ```
    /// use heist_net::protocol::{Context, Error, Protocol};
    /// use heist_net::{Connection, Runtime, UnixStream};
    ///
    /// /// Passes on to the peer whatever other tasks send.
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
    ///     drop(heist_scheduler::spawn(connection));
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
        let bound = self.bounds().inbox;
        let inbox = self.inbox.get_or_insert_with(|| Arc::new(Inbox::new(bound)));
        Sender::new(Arc::clone(inbox))
    }

    #[inline]
    pub(super) fn bounds(&self) -> &Limits {
        self.host.limits()
    }

    pub(super) fn kept(&mut self) -> &mut Kept {
        self.kept.get_or_insert_default()
    }

    /// An idle connection owns no buffer.
    pub(super) fn keep_nothing_idle(&mut self) {
        if self.kept.as_ref().is_some_and(|kept| kept.is_empty()) {
            self.discharge();
            self.kept = None;
        }
    }

    fn advance(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        if self.host.stay().is_some_and(Stay::is_cut) {
            return Poll::Ready(CloseReason::Cancelled);
        }
        if matches!(self.phase, Phase::New | Phase::Open) {
            match *ready!(self.poll_open(cx)) {
                End::AtOnce(reason) => return Poll::Ready(reason),
                End::InOrder(reason) => self.begin_closing(Phase::Flushing, reason),
                End::Finished => match self.phase_left() {
                    Some(phase) => self.begin_closing(phase, CloseReason::Finished),
                    None => {
                        self.end_output();
                        return Poll::Ready(CloseReason::Finished);
                    }
                },
            }
        }
        self.poll_closing(cx)
    }

    /// Tells the protocol and all who send to it, once, and then the server.
    fn end(&mut self, reason: &CloseReason) {
        let phase = mem::replace(&mut self.phase, Phase::Ended);
        self.discharge();
        if let Some(inbox) = &self.inbox {
            inbox.close();
        }
        if !matches!(phase, Phase::New | Phase::Ended) {
            self.protocol.closed(reason);
        }
        self.tell_host(reason);
    }
}

impl<P: Protocol> Future for Connection<P> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        let this = self.get_mut();
        assert!(this.phase != Phase::Ended, "a Connection was polled after its end");
        this.marks.set(Marks::POLLING);
        let polled = this.advance(cx).map(|reason| this.drained(reason));
        if let Poll::Ready(reason) = &polled {
            this.end(reason);
        }
        this.marks.clear(Marks::POLLING);
        polled
    }
}

/// The protocol is never pinned: it is only ever borrowed for a call.
impl<P: Protocol> Unpin for Connection<P> {}

impl<P: Protocol> Drop for Connection<P> {
    fn drop(&mut self) {
        let panicked = self.marks.has(Marks::POLLING);
        let reason = if panicked { CloseReason::Panicked } else { CloseReason::Cancelled };
        self.end(&reason);
    }
}

impl<P: Protocol> fmt::Debug for Connection<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("kind", &self.source.io().kind())
            .field("phase", &self.phase)
            .field("flow", &self.flow)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::os::fd::AsFd;

    use heist_reactor::{Interest, Kind};

    use super::*;
    use crate::protocol::{Context, Error};
    use crate::runtime::driver;
    use crate::{Runtime, UnixStream};

    /// Answers each line, and counts how often it was given input.
    #[derive(Default)]
    struct Lines {
        calls: usize,
    }

    impl Protocol for Lines {
        type Message = std::convert::Infallible;

        fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
            self.calls += 1;
            let end = input.iter().position(|&byte| byte == b'\n');
            let length = end.map_or(0, |end| end + 1);
            cx.write(&input[..length]);
            Ok(length)
        }
    }

    #[test]
    fn idle_connection_is_small() {
        // In debug builds mio adds to each socket.
        let debug = size_of::<crate::socket::sys::Stream>() - 8;
        let size = size_of::<Connection<Lines>>() - size_of::<Lines>();
        assert!(size <= 104 + debug, "{size}");
    }

    #[test]
    fn idle_connection_owns_no_buffer() {
        Runtime::new().unwrap().block_on(async {
            let (near, mut far) = UnixStream::pair().unwrap();
            let mut connection = Connection::new(near, Lines::default());
            assert!(connection.kept.is_none());

            far.write_all(b"part of").await.unwrap();
            run_until(&mut connection, |connection| connection.protocol.calls == 1).await;
            assert_eq!(connection.kept.as_ref().unwrap().input, b"part of");

            far.write_all(b" a line\n").await.unwrap();
            run_until(&mut connection, |connection| connection.protocol.calls == 2).await;
            assert!(connection.kept.is_none());
            let mut answer = [0; 15];
            far.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"part of a line\n");
        });
    }

    /// Failure: what had been answered by then was dropped with it.
    #[test]
    fn connection_that_cannot_be_watched_ends_behind_its_answer() {
        // With one shard, which both registrations are for.
        let runtime = crate::Builder::new().ignore_environment().workers(1).start().unwrap();
        runtime.block_on(async {
            let (near, mut far) = UnixStream::pair().unwrap();
            // Another registration of the same descriptor, which nobody takes back.
            mem::forget(driver::attach(near.as_fd(), Interest::Read, Kind::Other).unwrap());
            far.write_all(b"a line\n").await.unwrap();
            let closed = Connection::new(near, Lines::default()).await;
            assert!(matches!(closed, CloseReason::Lost(_)), "{closed:?}");
            assert_eq!(far.read_to_end(100).await.unwrap(), b"a line\n");
        });
    }

    async fn run_until<P: Protocol>(
        connection: &mut Connection<P>,
        done: impl Fn(&Connection<P>) -> bool,
    ) {
        poll_fn(|cx| {
            assert!(Pin::new(&mut *connection).poll(cx).is_pending());
            if done(connection) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
