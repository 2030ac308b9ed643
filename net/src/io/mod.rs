//! Copying between streams of any kind.
//!
//! ```text
//! copy, copy_bidirectional ──▶ Direction: what was read and waits to be written   (copy)
//!                                  │ reads into
//!                                  ▼
//!                              a buffer of the thread, lent for one poll           (scratch)
//! ```
//!
//! A direction that waits for its reader owns no buffer, so an idle proxied connection costs no more
//! memory than its two sockets.

mod copy;
mod direction;
mod scratch;

pub use self::copy::{copy, copy_bidirectional};
