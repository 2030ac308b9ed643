//! Messages from other tasks to a protocol: bounded, in order.

mod error;
mod queue;
mod send;
mod sender;
#[cfg(test)]
mod tests;
mod wait_list;

pub use error::SendError;
pub use send::SendFuture;
pub use sender::Sender;

pub(super) use queue::{Inbox, Taken};
