//! A TLS connection over a socket.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use heist_scheduler::coop;

use super::info::TlsInfo;
use super::outgoing;
use super::records::Destination;
use super::scratch::{self, Scratch};
use super::session::Session;
use crate::connection::transport::Transport;
use crate::socket::stream::Stream;

/// A TLS connection, which a server has accepted, or a [`Connector`](super::Connector) has made.
///
/// It reads and writes plaintext through [`Transport`], and through the traits of `futures-io`; with the
/// feature `hyper` also through those of `hyper::rt`, and with `tokio-io` through those of tokio.
///
/// Dropping it closes the socket without telling the peer that all was sent: a peer takes the stream for
/// truncated. [`finish`](Transport::finish) tells it.
///
/// An idle connection owns no buffer.
pub struct TlsStream {
    stream: Stream,
    session: Box<Session>,
    /// The socket is shut down for writing.
    shut_down: bool,
    info: OnceLock<Arc<TlsInfo>>,
}

impl TlsStream {
    pub(super) fn new(stream: Stream, session: Session) -> TlsStream {
        TlsStream { stream, session: Box::new(session), shut_down: false, info: OnceLock::new() }
    }

    /// What the handshake has agreed on.
    pub fn info(&self) -> &Arc<TlsInfo> {
        self.info.get_or_init(|| Arc::new(TlsInfo::of(&self.session)))
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// One read of the socket, for `wanted` bytes of plaintext; `receive` takes what came, behind what
    /// the session has kept. Returns how many bytes came: 0 means the end of the connection. Many
    /// short records spend more of the poll's budget than the read itself.
    ///
    /// It reads more than is wanted where the peer may have sent a longer record, which cannot be
    /// decrypted in parts.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
        receive: impl FnOnce(&mut Session, &mut [u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        let TlsStream { stream, session, .. } = self;
        let room = wanted.saturating_add(OVERHEAD).clamp(LEAST_READ, MOST_READ);
        scratch::lend(|Scratch { input, .. }| {
            let known = session.partial().len();
            let input = scratch::front(input, known + room);
            let (front, space) = input.split_at_mut(known);
            front.copy_from_slice(session.partial());
            let read = stream.inner().poll_read_with(cx, room, |socket| socket.read(space));
            let count = ready!(read)?;
            if count > 0 {
                let records = receive(session, &mut input[..known + count]);
                spend(records / RECORDS_AN_OPERATION, cx);
            }
            Poll::Ready(Ok(count))
        })
    }

    /// Reads plaintext into `destination`, which has room for `wanted` bytes, at least one. Returns 0 at
    /// the end.
    pub(super) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
        mut destination: impl Destination,
    ) -> Poll<io::Result<usize>> {
        let mut destination = Counted { destination: &mut destination, count: 0 };
        if self.session.has_plaintext() {
            let taken = destination.take(self.session.plaintext().waiting());
            self.session.plaintext().consume(taken);
            return Poll::Ready(Ok(taken));
        }
        loop {
            if self.session.is_finished() {
                return Poll::Ready(Ok(0));
            }
            if let Some(error) = self.session.failure() {
                let error = io::Error::new(io::ErrorKind::InvalidData, error.clone());
                // The alert that tells the peer; best effort.
                let _ = self.poll_push(cx);
                return Poll::Ready(Err(error));
            }
            let received = self.poll_receive(cx, wanted, |session, input| {
                session.receive(input, &mut destination)
            });
            let Poll::Ready(received) = received else {
                // The session may have something to say that no write takes along.
                let _ = self.poll_push(cx)?;
                return Poll::Pending;
            };
            match received? {
                0 => return Poll::Ready(Err(truncated())),
                _ if destination.count > 0 => return Poll::Ready(Ok(destination.count)),
                _ => {}
            }
        }
    }

    /// Writes what waits to the socket.
    pub(super) fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let TlsStream { stream, session, .. } = self;
        while !session.output().is_empty() {
            let count = ready!(stream.inner().poll_write(cx, session.output().waiting()))?;
            session.output_mut().consume(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Encrypts the front of `buffers` and offers it to the socket, with what waited before.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let TlsStream { stream, session, .. } = self;
        scratch::lend(|Scratch { output, gathered, .. }| {
            let waiting = session.output().waiting().len();
            scratch::front(output, waiting).copy_from_slice(session.output().waiting());
            let (taken, filled) = outgoing::encrypt(session, buffers, output, waiting, gathered)
                .map_err(io::Error::other)?;
            match stream.inner().poll_write(cx, &output[..filled]) {
                Poll::Ready(Ok(count)) => session.output_mut().replace(&output[count..filled]),
                // The session has moved on: the records must not be lost.
                Poll::Pending => session.output_mut().replace(&output[..filled]),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
            Poll::Ready(Ok(taken))
        })
    }
}

impl Transport for TlsStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match buffer.len() {
            0 => Poll::Ready(Ok(0)),
            length => self.poll_read_into(cx, length, Slice(buffer)),
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if self.session.output().waiting().len() > JOINED {
            ready!(self.poll_push(cx))?;
        }
        self.poll_send(cx, buffers)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_push(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shut_down {
            return Poll::Ready(Ok(()));
        }
        self.session.close();
        let TlsStream { stream, session, .. } = &mut *self;
        while !session.output().is_empty() {
            // `close_notify` and the end of the socket go out in one packet.
            let count = ready!(stream.inner().poll_write_last(cx, session.output().waiting()))?;
            session.output_mut().consume(count);
        }
        self.shut_down = true;
        Poll::Ready(self.stream.shutdown_directions(Shutdown::Write))
    }

    fn stream(&self) -> &Stream {
        &self.stream
    }

    fn has_buffered_input(&self) -> bool {
        self.session.has_plaintext() || !self.session.is_open()
    }

    fn unsent(&self) -> usize {
        self.session.output().waiting().len()
    }

    fn memory(&self) -> usize {
        self.session.memory()
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.session.tls().alpn_protocol()
    }

    #[cfg(feature = "hyper")]
    fn extend(&self, extensions: &mut hyper::http::Extensions) {
        extensions.insert(Arc::clone(self.info()));
    }

    /// Behind the peer's end nothing that comes is read.
    fn has_unread(&self) -> bool {
        let unread = || self.session.is_open() && self.stream.inner().has_unread();
        self.session.has_plaintext() || unread()
    }

    /// A task that waits for input lets the session say what it has to.
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_buffered_input() {
            return Poll::Ready(Ok(()));
        }
        let ready = self.stream.inner().poll_read_ready(cx);
        if ready.is_pending() {
            let _ = self.poll_push(cx)?;
        }
        ready
    }

    /// By memory of the thread, which is larger than what a stack should hold.
    #[cfg(feature = "hyper")]
    fn poll_read_kept(
        &mut self,
        cx: &mut Context<'_>,
        cursor: &mut hyper::rt::ReadBufCursor<'_>,
        keep: impl FnOnce(&mut [u8]) -> usize,
    ) -> Poll<io::Result<(usize, usize)>> {
        let mut memory = scratch::lend(|scratch| std::mem::take(&mut scratch.plaintext));
        let space = scratch::front(&mut memory, cursor.remaining().min(MOST_READ));
        let polled = self.poll_read(cx, space).map_ok(|count| {
            let kept = keep(&mut space[..count]).min(count);
            cursor.put_slice(&space[..kept]);
            (count, kept)
        });
        scratch::lend(|scratch| scratch.plaintext = memory);
        polled
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsStream").field(&self.stream).finish()
    }
}

/// Counts what a destination takes.
struct Counted<'a, D> {
    destination: &'a mut D,
    count: usize,
}

impl<D: Destination> Destination for Counted<'_, D> {
    fn take(&mut self, plaintext: &[u8]) -> usize {
        let taken = self.destination.take(plaintext);
        self.count += taken;
        taken
    }
}

/// A buffer, of which the front is filled first.
struct Slice<'a>(&'a mut [u8]);

impl Destination for Slice<'_> {
    fn take(&mut self, plaintext: &[u8]) -> usize {
        let count = plaintext.len().min(self.0.len());
        let (front, rest) = std::mem::take(&mut self.0).split_at_mut(count);
        front.copy_from_slice(&plaintext[..count]);
        self.0 = rest;
        count
    }
}

/// Spends operations of the poll's budget that were done already. When it has none left, the task goes
/// on in its next poll.
fn spend(operations: usize, cx: &mut Context<'_>) {
    for _ in 0..operations {
        if coop::poll_proceed(cx).is_pending() {
            return;
        }
    }
}

/// The connection ended without `close_notify`.
fn truncated() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the peer closed the connection without close_notify: what it sent may be truncated",
    )
}

/// More than what is wanted is read, for the overhead of its records.
const OVERHEAD: usize = 1024;

/// A whole record finds room in one read.
const LEAST_READ: usize = 17 * 1024;

const MOST_READ: usize = 64 * 1024;

/// To decrypt so many records takes as long as a read of the socket. A peer may send 700 in one.
const RECORDS_AN_OPERATION: usize = 16;

/// Output up to this length waits to be written together with the next records. Longer output is written
/// before anything else is encrypted, which bounds what waits.
const JOINED: usize = 4 * 1024;
