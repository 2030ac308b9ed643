//! Running a future on a thread that is no worker.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::handle::Handle;
use crate::context::{self, Refusals, ThreadKind};
use crate::panics;

impl Handle {
    /// Runs `future` on the current thread until it is done, inside this runtime.
    ///
    /// # Panics
    /// * On a worker thread, where it would stop every task of that worker: await the future, or
    ///   spawn it.
    /// * When the runtime shuts down and the future waits in it for a timer, a socket or a task, as
    ///   no wait of heist's resumes there. A future that waits for something else goes on.
    /// * It passes on a panic of the future, and one of a [`ThreadScope`](crate::ThreadScope) that cannot
    ///   be entered here.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !context::on_worker(),
            "block_on was called on a worker thread, which would stop every task that runs there; \
             await the future, spawn it, or move the call into spawn_blocking"
        );
        let _scope = self.scope();
        let refusals = Refusals::watch(&self.0.context);
        let thread = self.0.blocked.add();
        let waker = Waker::from(Arc::clone(thread.parker()));
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        let mut output = None;
        self.0.context.thread_scope.run_steps_of_caller(ThreadKind::BlockOn, || {
            if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
                output = Some(done);
                return ControlFlow::Break(());
            }
            assert!(
                !refusals.take(),
                "the runtime was shut down while `block_on` waited in it for a timer, a socket or a \
                 task: end the future before the runtime, or do not shut it down"
            );
            thread.parker().park(self.until_shared_timer());
            self.fire_shared_timers();
            ControlFlow::Continue(())
        });
        output.expect("the last step has stored the output or panicked")
    }

    /// How long until a timer is due that was armed off the workers.
    fn until_shared_timer(&self) -> Option<Duration> {
        let next = self.0.context.shared_timers.next()?;
        Some(next.duration_since(self.clock().now()))
    }

    /// Fires timers armed off the workers. Workers do so too; a thread in `block_on` does not depend
    /// on them, so that its time-outs work while every worker is stuck.
    fn fire_shared_timers(&self) {
        let mut wakers = Vec::new();
        self.0.context.shared_timers.advance(self.clock().now(), TIMERS_AT_ONCE, &mut wakers);
        panics::wake_all(wakers);
    }
}

/// Timers that a blocked thread fires before it looks at its own future again.
const TIMERS_AT_ONCE: usize = 64;
