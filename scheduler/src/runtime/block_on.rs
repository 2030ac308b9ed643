//! Running a future on a thread that the runtime did not start.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::core_guard::CoreGuard;
use super::handle::Handle;
use crate::context::{self, Refusals, ThreadKind};
use crate::panics;
use crate::threads::tracker::BlockedThread;
use crate::worker::main_task::MainTurn;

impl Handle {
    /// Runs `future` on the current thread until it is done, inside this runtime.
    ///
    /// The tasks of a [current-thread](crate::Builder::current_thread) runtime run here, too, between the
    /// polls of `future`. Of several threads in `block_on` one runs them; when it leaves, another one takes
    /// over.
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
        let mut future = pin!(future);
        let mut blocked_on = BlockedOn {
            handle: self,
            refusals: Refusals::watch(&self.0.context),
            thread: self.0.blocked.add(),
            core: None,
        };
        let mut output = None;
        self.0.context.thread_scope.run_steps_of_caller(ThreadKind::BlockOn, || {
            output = blocked_on.step(future.as_mut());
            if output.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        output.expect("the last step has stored the output or panicked")
    }
}

/// A thread in `block_on`.
struct BlockedOn<'a> {
    handle: &'a Handle,
    /// Left before what is above and below it.
    core: Option<CoreGuard<'a>>,
    refusals: Refusals,
    thread: BlockedThread<'a>,
}

impl BlockedOn<'_> {
    /// Polls the future, runs tasks, or waits.
    fn step<F: Future>(&mut self, future: Pin<&mut F>) -> Option<F::Output> {
        if self.core.is_none() {
            self.core = self.handle.take_core();
        }
        let Some(core) = &mut self.core else { return self.poll_and_wait(future) };
        let turn = core.run_beside(future);
        if !matches!(turn, MainTurn::Pending) {
            self.core = None;
        }
        match turn {
            MainTurn::Ready(output) => Some(output),
            MainTurn::Pending | MainTurn::Closed => None,
        }
    }

    fn poll_and_wait<F: Future>(&mut self, future: Pin<&mut F>) -> Option<F::Output> {
        // What was refused since the last poll was a wait of a task.
        self.refusals.take();
        let waker = Waker::from(Arc::clone(self.thread.parker()));
        if let Poll::Ready(output) = future.poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        assert!(
            !self.refusals.take(),
            "the runtime was shut down while `block_on` waited in it for a timer, a socket or a task: \
             end the future before the runtime, or do not shut it down"
        );
        self.thread.parker().park(self.handle.until_shared_timer());
        self.handle.fire_shared_timers();
        None
    }
}

impl Handle {
    /// How long until a timer is due that was armed off the workers.
    fn until_shared_timer(&self) -> Option<Duration> {
        self.clock().timeout_until(self.0.context.shared_timers.next()?)
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
