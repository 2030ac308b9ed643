//! The protocol engine without a socket: what a connection does, and in which order.
//!
//! An [`Engine`] owns a protocol and the state of its connection. It makes no system call, reads no
//! clock and stores no waker. All it does happens in a [turn](Engine::turn), which its shell runs
//! whenever something may have happened. In a turn the engine pulls what it needs through two
//! traits: bytes through [`Io`], and messages, drain, memory and the next deadline through
//! [`Shell`]. So the order of all calls is written once, here, and any shell keeps it: the socket's,
//! and the test harness's with a made-up peer and a virtual clock.
//!
//! | file | what it does in a turn |
//! |---|---|
//! | `run` | the order of a turn |
//! | `input`, `feed` | reads, and gives the protocol one message after the other |
//! | `pause` | stops the input where the protocol asks for it |
//! | `output` | writes all answers at once; back-pressure |
//! | `drain` | tells the protocol that the server drains |
//! | `deadlines` | the protocol's deadline and the connection's limits |
//! | `last_word` | what a protocol says when a limit ends its connection |
//! | `closing` | the turns after the end: flush, shut down, linger |

mod buffers;
mod closing;
mod deadlines;
mod drain;
mod feed;
mod input;
mod last_word;
mod output;
mod pause;
mod run;
mod scratch;
mod shell;
mod state;
mod turn;

pub(super) use shell::{Io, Shell};
pub(super) use state::Engine;
