//! The rules that each operation of a socket follows under a runtime: it spends one unit of the
//! poll's budget, and it stays pending once the runtime shuts down.

use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};

use heist_reactor::{Closed, Drain};
use heist_scheduler::coop;

/// Spends one unit of the poll's budget; pending for ever in a runtime that shuts down.
pub(crate) async fn proceed() {
    poll_fn(coop::poll_proceed).await;
}

/// The outcome of an operation of a source, pending for ever if the queue was closed by the
/// shutdown of the runtime that polls. In another runtime the closed queue is an error.
#[inline]
pub(crate) fn until_shutdown<R>(polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
    match polled {
        Poll::Ready(Err(error)) => failed(error),
        polled => polled,
    }
}

#[cold]
fn failed<R>(error: io::Error) -> Poll<io::Result<R>> {
    if error.get_ref().is_some_and(|inner| inner.is::<Closed>()) {
        ready!(coop::poll_closing());
    }
    Poll::Ready(Err(error))
}

/// As [`until_shutdown`], for an outcome that is there already.
pub(crate) async fn outcome_until_shutdown<R>(outcome: io::Result<R>) -> io::Result<R> {
    let mut outcome = Some(outcome);
    poll_fn(|_| match outcome.take() {
        Some(outcome) => until_shutdown(Poll::Ready(outcome)),
        // The shutdown that closed the queue cannot be undone.
        None => coop::poll_closing().map(|()| Err(Closed.into())),
    })
    .await
}

/// The outcome of an operation that was tried without a wait; a direction that would block is
/// drained.
pub(crate) fn noted<R>(drain: Option<Drain<'_>>, outcome: io::Result<R>) -> io::Result<R> {
    if let (Some(drain), Err(error)) = (drain, &outcome)
        && error.kind() == io::ErrorKind::WouldBlock
    {
        drain.drained();
    }
    outcome
}

/// Gives the unit back that was spent on an operation that turns out to be pending.
#[inline]
pub(crate) fn restore_if_pending<T>(polled: Poll<T>) -> Poll<T> {
    if polled.is_pending() {
        coop::restore();
    }
    polled
}
