//! Signals of the operating system, as streams.
//!
//! ```no_run
//! use heist::signal::{SignalKind, signal};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! heist::Runtime::new()?.block_on(async {
//!     let mut hangups = signal(SignalKind::hangup())?;
//!     while hangups.recv().await.is_some() {
//!         println!("reading the configuration again");
//!     }
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # What a signal reaches
//!
//! Each [`Signal`] of a kind gets each signal of that kind, in whatever runtime it is, and so does every
//! handler that another library has installed by the crate `signal-hook-registry`, as tokio does.
//! Signals coalesce, as they do in the kernel: after the last [`recv`](Signal::recv) any number of them
//! is at least one, and need not be more.
//!
//! # What happens to the default action
//!
//! The first [`signal`] of a kind replaces the default action of that kind for the rest of the process,
//! also when every [`Signal`] is dropped: a program that has waited for SIGINT once is no longer ended by
//! it. A child that is started by [`std::process::Command`] has the default actions.
//!
//! # How it works
//!
//! Each [`Signal`] has a pair of sockets. The handler writes a byte to the one, which is all that it does
//! and is allowed in a handler; the other is a source of the runtime's event queue. So no thread waits
//! for signals, and the runtimes of a process share nothing but the handler.

mod kind;
mod pipe;
mod stream;
mod termination;

pub use kind::SignalKind;
pub use stream::{Signal, signal};
pub use termination::{CtrlC, Terminate, ctrl_c, terminate};
