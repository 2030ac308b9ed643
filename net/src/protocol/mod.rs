//! Protocols as state machines, and the engine that runs them over sockets.
//!
//! A [`Protocol`] says what to do with what happens on one connection: bytes came, a deadline
//! passed, another task sent a message. It answers through its [`Context`] with bytes, the next
//! deadline, or the wish to close. It touches no socket and reads no clock, so it can be tested
//! without either ([`Rehearsal`]), and it means the same wherever the network cuts its bytes.
//!
//! A [`Connection`] is the engine: a future that joins one protocol to one socket. Spawn it as a
//! task. It reads all that is there, calls the protocol once for each message, sends all answers
//! with one write, and waits. It serves accepted and connected sockets alike.
//!
//! # Example: a server that counts the words of each line
//!
//! ```
//! use heist_net::protocol::{Context, Error, Protocol, Rehearsal};
//! use heist_net::{Connection, Runtime, TcpListener, TcpStream};
//! use heist_scheduler::spawn;
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! struct WordCount;
//!
//! impl Protocol for WordCount {
//!     type Message = Infallible; // nobody sends it messages
//!
//!     fn opened(&mut self, cx: &mut Context<'_>) {
//!         cx.set_deadline_in(Duration::from_secs(30));
//!     }
//!
//!     fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
//!         let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
//!             return Ok(0); // not a whole line yet: call again when there is more
//!         };
//!         let line = std::str::from_utf8(&input[..end])?; // an error ends the connection
//!         let words = line.split_whitespace().count();
//!         cx.write(format!("{words}\n").as_bytes());
//!         cx.set_deadline_in(Duration::from_secs(30));
//!         Ok(end + 1) // the next call begins behind the line
//!     }
//!
//!     fn deadline(&mut self, cx: &mut Context<'_>) {
//!         cx.write(b"too slow\n");
//!         cx.close();
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Without a socket:
//! let mut rehearsal = Rehearsal::new(WordCount);
//! rehearsal.receive(b"one two\nthr");
//! rehearsal.receive(b"ee\n");
//! assert_eq!(rehearsal.take_output(), b"2\n1\n");
//! rehearsal.pass(Duration::from_secs(30));
//! assert_eq!(rehearsal.take_output(), b"too slow\n");
//! assert!(rehearsal.closed().is_some());
//!
//! // As a server:
//! let runtime = Runtime::new()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
//!     let address = listener.local_addr()?;
//!     drop(spawn(async move {
//!         while let Ok((stream, _peer)) = listener.accept().await {
//!             spawn(Connection::new(stream, WordCount));
//!         }
//!     }));
//!
//!     let mut client = TcpStream::connect(address).await?;
//!     client.write_all(b"one two three\nfour\n").await?;
//!     let mut answers = [0; 4];
//!     client.read_exact(&mut answers).await?;
//!     assert_eq!(&answers, b"3\n1\n");
//!     Ok::<(), std::io::Error>(())
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! # The order of things
//!
//! `opened` comes first, `closed` last, each exactly once. In between, whenever something happens:
//!
//! 1. input is read and given to `received`, a message at a time, then `input_closed` if it ended,
//!    unless the protocol has paused it;
//! 2. messages of other tasks are given to `message`, in the order in which they were sent;
//! 3. `draining` is called if the server drains and it is this connection's turn to end;
//! 4. `deadline` is called if it has passed, so input that arrived in time is seen before it;
//! 5. what was written is sent, all at once.
//!
//! # Limits
//!
//! A connection that nothing happens on is closed, as is one whose peer begins a message and does
//! not end it in time, or does not take what it is sent; see [`Limits`]. All of them and the
//! protocol's deadline share one timer, which is moved only when it fires.
//!
//! # Back-pressure
//!
//! When the output that waits reaches the high watermark, the connection stops reading and taking
//! messages, until it has fallen to the low one; then `writable` is called. So a peer that does not
//! read cannot make the connection's memory grow, and a protocol that generates output writes while
//! there is [`room`](Context::room), and goes on in `writable`.
//!
//! A protocol can also stop the input by itself, with [`pause_reading`](Context::pause_reading): for
//! a peer that sends more than its share.

mod closing;
mod connection;
mod context;
mod deadlines;
mod feed;
mod hosted;
mod inbox;
mod limits;
mod marks;
mod output;
mod receiving;
mod rehearsal;
mod round;
mod scratch;
mod sending;

pub use crate::connection::close_reason::{CloseKind, CloseReason};
pub use connection::Connection;
pub use context::Context;
pub(crate) use hosted::Hosted;
pub use inbox::{SendError, SendFuture, Sender};
pub use limits::Limits;
pub use rehearsal::Rehearsal;

/// What a protocol found wrong with its input. Any error, and any text, turns into it by `?` and
/// `into()`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What to do with what happens on one connection; see the [module](self) for an example, and for
/// the order of the calls.
///
/// Every call must return soon: it runs on a worker that others wait for. Work that blocks belongs
/// in [`spawn_blocking`](heist_scheduler::spawn_blocking), with its result sent as a message.
///
/// A panic ends this connection only.
pub trait Protocol: Send + 'static {
    /// What other tasks may send, through the [`Sender`] of [`Connection::inbox`].
    /// [`Infallible`](std::convert::Infallible) where that is nothing.
    type Message: Send + 'static;

    /// The connection is open, accepted or connected: the first call.
    fn opened(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Takes one message from the front of `input` and returns its length in bytes.
    ///
    /// Returns 0 while the message is incomplete: the engine keeps the bytes and calls again when
    /// there are more, with the same ones in front. After any other result it calls again at once
    /// with what is behind. `input` is never empty, and never longer than [`Limits::max_message`]:
    /// returning 0 for that many ends the connection. A message that may be longer is taken in
    /// pieces.
    ///
    /// # Errors
    ///
    /// An error ends the connection, as [`close`](Context::close) does, for the reason
    /// [`CloseReason::Protocol`]: what was written before is sent, and the peer is given time to read it,
    /// up to [`Limits::linger_timeout`], so that an answer that names the error arrives. Where no
    /// answer matters, as mostly for a client, [`abort`](Context::abort) before returning the error
    /// ends the connection at once, for the same reason.
    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error>;

    /// The output has fallen to the low watermark, after it had reached the high one.
    fn writable(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The deadline has passed. There is none from now on, until another one is set.
    fn deadline(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Another task sent `message`.
    fn message(&mut self, message: Self::Message, cx: &mut Context<'_>) {
        let _ = (message, cx);
    }

    /// The server drains, and nothing of a message is half received: end what is under way, then
    /// [`close`](Context::close). Called once, after what had come until then was received.
    ///
    /// Unless this says otherwise, the connection closes once all output is sent. One that has
    /// something to finish first may close later, in another call; it is dropped at the end of the
    /// server's grace.
    fn draining(&mut self, cx: &mut Context<'_>) {
        cx.close();
    }

    /// The peer has finished sending. `rest` is what [`received`](Protocol::received) left: empty,
    /// or a message cut off.
    ///
    /// Unless this says otherwise, the connection closes once all output is sent.
    fn input_closed(&mut self, rest: &[u8], cx: &mut Context<'_>) {
        let _ = rest;
        cx.close();
    }

    /// The connection has ended: the last call. Called exactly once after `opened`, even when the
    /// connection was dropped or this protocol panicked, so that what was registered elsewhere can
    /// be taken back.
    fn closed(&mut self, reason: &CloseReason) {
        let _ = reason;
    }
}

/// How a connection ends.
#[derive(Debug)]
enum End {
    /// What was written is sent first, and the peer given time to read it.
    InOrder(CloseReason),
    /// What was written is sent first. The peer has nothing more to say.
    Finished,
    AtOnce(CloseReason),
}

/// The way out of a round that ends the connection. It is boxed so that the usual way, on which
/// nothing ends, passes a pointer through the calls and not a whole reason.
type Stop = Box<End>;

impl End {
    fn in_order(reason: CloseReason) -> Stop {
        Box::new(End::InOrder(reason))
    }

    fn at_once(reason: CloseReason) -> Stop {
        Box::new(End::AtOnce(reason))
    }

    fn into_reason(self) -> CloseReason {
        match self {
            End::InOrder(reason) | End::AtOnce(reason) => reason,
            End::Finished => CloseReason::Finished,
        }
    }
}
