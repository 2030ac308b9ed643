//! What the lower layers know of a runtime.

use std::any::Any;
use std::sync::{Arc, OnceLock, Weak};

use super::thread_scope::OptionalScope;
use crate::clock::Clock;
use crate::panics::CaughtPanics;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::fence;
use crate::wheel::TimerQueue;

/// The part of a runtime that code inside it reaches: its clock, its timers, and whether it ends.
///
/// Its address tells runtimes apart.
pub(crate) struct RuntimeContext {
    pub(crate) clock: Clock,
    /// Timers armed off the workers.
    pub(crate) shared_timers: Arc<TimerQueue>,
    /// Set once, by shutdown, which empties the queues afterwards. A thread that queues a task from
    /// outside reads it afterwards. Both have a SeqCst fence between, so one sees the other's write;
    /// that is why the accesses themselves are Relaxed.
    closing: AtomicBool,
    /// Shared with the threads that count into it.
    pub(crate) caught_panics: Arc<CaughtPanics>,
    /// What its threads run in, besides the runtime itself.
    pub(crate) thread_scope: OptionalScope,
    /// The runtime itself, opaque here; set once, when it is made.
    runtime: OnceLock<Weak<Opaque>>,
}

/// A reference to a runtime, which keeps its memory. The upper layer knows its type.
#[derive(Clone)]
pub(crate) struct RuntimeRef {
    context: Arc<RuntimeContext>,
    runtime: Arc<Opaque>,
}

/// A runtime, as far as the layers below it know.
pub(crate) type Opaque = dyn Any + Send + Sync;

impl RuntimeContext {
    pub(crate) fn new(clock: Clock, shared_timers: Arc<TimerQueue>) -> RuntimeContext {
        RuntimeContext {
            clock,
            shared_timers,
            closing: AtomicBool::new(false),
            caught_panics: Arc::default(),
            thread_scope: OptionalScope::default(),
            runtime: OnceLock::new(),
        }
    }

    pub(crate) fn with_thread_scope(self, thread_scope: OptionalScope) -> RuntimeContext {
        RuntimeContext { thread_scope, ..self }
    }

    pub(crate) fn set_runtime(&self, runtime: Weak<Opaque>) {
        let set = self.runtime.set(runtime);
        debug_assert!(set.is_ok(), "a context belongs to one runtime");
    }

    /// A reference to the runtime, if it still exists.
    pub(crate) fn upgrade(self: &Arc<Self>) -> Option<RuntimeRef> {
        let runtime = self.runtime.get()?.upgrade()?;
        Some(RuntimeRef { context: Arc::clone(self), runtime })
    }

    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(crate) fn begin_closing(&self) {
        self.closing.store(true, Ordering::Relaxed);
        // Pairs with the fence that a push from outside passes before it reads the flag, and with that of a
        // thread that stops running the tasks of a current-thread runtime.
        fence(Ordering::SeqCst);
    }

    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl RuntimeRef {
    pub(crate) fn new(context: Arc<RuntimeContext>, runtime: Arc<Opaque>) -> RuntimeRef {
        RuntimeRef { context, runtime }
    }

    #[inline]
    pub(crate) fn context(&self) -> &RuntimeContext {
        &self.context
    }

    pub(crate) fn runtime(&self) -> &Arc<Opaque> {
        &self.runtime
    }
}
