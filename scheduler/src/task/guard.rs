//! The future inside every cell: no panic of the user's code gets past it.
//!
//! `async-task` closes a task whose poll panics and unwinds into the worker, and aborts the
//! process when a destructor panics while it drops a future or an output. Both end here instead.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::registry::{Ticket, panic_message};

pin_project_lite::pin_project! {
    /// A future that yields its output or the panic that ended it.
    pub(crate) struct Guarded<F> {
        // `None` once it is finished, so that its drop happens in here too.
        #[pin]
        future: Option<F>,
        // Behind the future: the place in the registry is free only after the future is gone.
        ticket: Ticket,
    }

    impl<F> PinnedDrop for Guarded<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                drop_future(&mut this.future, this.ticket);
            }
        }
    }
}

/// What a task leaves behind for whoever joins it.
///
/// Its destructor catches panics: async-task drops an output that nobody joins.
pub(crate) struct Outcome<T>(Option<Result<T, Box<dyn Any + Send>>>);

impl<F> Guarded<F> {
    pub(crate) fn new(future: F, ticket: Ticket) -> Self {
        Guarded { future: Some(future), ticket }
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Outcome<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            unreachable!("async-task never polls a future that has finished");
        };
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => {
                this.ticket.report_panic("poll", &*payload);
                Err(payload)
            }
        };
        drop_future(&mut this.future, this.ticket);
        Poll::Ready(Outcome(Some(outcome)))
    }
}

fn drop_future<F>(future: &mut Pin<&mut Option<F>>, ticket: &Ticket) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| future.set(None))) {
        ticket.report_panic("drop of its future", &*payload);
    }
}

impl<T> Outcome<T> {
    /// The output, or the payload of the panic.
    pub(crate) fn into_result(mut self) -> Result<T, Box<dyn Any + Send>> {
        self.0.take().unwrap_or_else(|| unreachable!("only this method takes it, by value"))
    }
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        let Some(outcome) = self.0.take() else { return };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(outcome))) {
            tracing::error!(message = panic_message(&*payload), "panic in the drop of an output");
        }
    }
}
