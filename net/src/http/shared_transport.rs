//! A transport that is shared with another task, as the connection's task sees it.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use heist_scheduler::time::Instant;

use crate::connection::close_reason::CloseKind;

/// Until when a connection may stay as it is, and how it ends then.
pub(super) type Deadline = (Instant, Option<CloseKind>);

/// The transport as the connection's task sees it.
pub(super) trait Shared: Send + Sync + fmt::Debug {
    /// Whether the other side still has its end, and until when. The task of `cx` is woken when it
    /// has dropped that, and when the deadline becomes an earlier one.
    fn watch(&self, cx: &mut Context<'_>, deadline: &dyn Fn() -> Deadline) -> Watched;

    /// Whether a read would return something, also such as no event has told of yet.
    fn has_unread(&self) -> bool;

    /// Closes the transport in order, as hyper does. The other side has no use of it any more.
    fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Drops the transport, and has the other side get an error of `kind`. Only the first call counts.
    fn cut(&self, kind: io::ErrorKind);
}

/// What the connection's task finds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Watched {
    /// The other side has dropped its end.
    Returned,
    /// It has it. Until then the connection may stay as it is; the kind says how it ends then.
    InUse(Deadline),
}
