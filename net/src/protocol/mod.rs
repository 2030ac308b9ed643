//! Protocols as state machines, and the engine that runs them over sockets.
//!
//! A [`Protocol`] says what to do with what happens on one connection: bytes came, a deadline
//! passed, another task sent a message. It answers through its [`Context`] with bytes, the next
//! deadline, or the wish to close. It touches no socket and reads no clock, so it can be tested
//! without either ([`TestHarness`]), and it does the same wherever the network cuts its bytes.
//!
//! A [`Connection`] is the engine: a future that joins one protocol to one socket. Spawn it as a
//! task. It reads all that is there, calls the protocol once for each message, sends all answers
//! with one write, and waits. It serves accepted and connected sockets alike.
//!
//! # Example: a server that counts the words of each line
//!
//! ```
//! use heist::{Runtime, spawn};
//! use heist::net::{TcpListener, TcpStream};
//! use heist::protocol::{Connection, Context, Error, Protocol, TestHarness};
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! struct WordCount;
//!
//! impl Protocol for WordCount {
//!     type Message = Infallible; // other tasks send it no messages
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
//! let mut harness = TestHarness::new(WordCount);
//! harness.receive(b"one two\nthr");
//! harness.receive(b"ee\n");
//! assert_eq!(harness.take_output(), b"2\n1\n");
//! harness.advance(Duration::from_secs(30));
//! assert_eq!(harness.take_output(), b"too slow\n");
//! assert!(harness.closed().is_some());
//!
//! // As a server:
//! let runtime = Runtime::new()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
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

mod actions;
mod connection;
mod context;
mod engine;
mod error;
mod harness;
mod inbox;
mod owner;
#[expect(clippy::module_inception, reason = "the trait's name is the name of the subject")]
mod protocol;
mod socket_shell;
mod termination;

pub use crate::connection::close_reason::{CloseKind, CloseReason};
pub use crate::connection::limits::Limits;
pub use connection::Connection;
pub use context::Context;
pub use error::Error;
pub use harness::TestHarness;
pub use inbox::{SendError, SendFuture, Sender};
pub use protocol::Protocol;
