//! The context of a tokio runtime, for all that a runtime of heist runs.
//!
//! Workers, and threads in `block_on`, run inside tokio's `Handle::block_on`, for two reasons. A call
//! that would block them, such as a nested `block_on`, panics there as it does in a task of tokio. And
//! only there tokio counts operations: its sockets, channels and timers are pending once when the budget
//! of a poll is spent, so that a task which always finds them ready still yields.
//!
//! tokio sets that budget when `block_on` polls, and not again. So each step takes one operation with
//! tokio's `coop::poll_proceed` and reports no progress, by which the budget is restored behind the step
//! to what it was before it. Each poll of a task thus begins with the same budget, as in tokio.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::task::{Context, Poll};

use heist_scheduler::{ThreadKind, ThreadScope};
use tokio::runtime::Handle;
use tokio::task::coop;

/// Runs threads inside a runtime of tokio.
pub(super) struct BesideTokio {
    tokio: Handle,
}

impl BesideTokio {
    pub(super) fn new(tokio: Handle) -> BesideTokio {
        BesideTokio { tokio }
    }
}

impl ThreadScope for BesideTokio {
    fn run(&self, thread: ThreadKind, step: &mut dyn FnMut() -> ControlFlow<()>) {
        match thread {
            ThreadKind::Worker | ThreadKind::BlockOn => {
                let mut run = |cx: &mut Context<'_>| Poll::Ready(run_budgeted(cx, step));
                while self.tokio.block_on(poll_fn(&mut run)).is_continue() {}
            }
            // Code that may block.
            _ => {
                let _inside = self.tokio.enter();
                while step().is_continue() {}
            }
        }
    }
}

/// Runs steps with a full budget each. `Continue` where `block_on` has to be entered again.
fn run_budgeted(
    cx: &mut Context<'_>,
    step: &mut dyn FnMut() -> ControlFlow<()>,
) -> ControlFlow<()> {
    // Pending would mean that the budget was not restored; the next `block_on` has a new one.
    while let Poll::Ready(restore) = coop::poll_proceed(cx) {
        let stepped = step();
        drop(restore);
        if stepped.is_break() {
            return ControlFlow::Break(());
        }
    }
    ControlFlow::Continue(())
}
