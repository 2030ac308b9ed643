//! The drain of a server, as user code learns of it.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, RawWakerVTable, Waker, ready};

use heist_scheduler::coop;

use super::activity::{Activity, ActivityOverride};
use super::set::ConnectionSet;
use crate::runtime::operation;

/// Says when the server of a connection begins to drain.
///
/// It does not keep the connection open or counted: the connection ends with the task that serves
/// it. So it may be moved to another task, and may outlive the connection. A wait ends with the
/// drain alone.
///
/// Requests under `Server::http` have an `http::DrainSignal` with the same methods to wait.
pub struct DrainSignal {
    set: Arc<ConnectionSet>,
    /// Where its waker is: a slot of the table if `in_slot`. Otherwise the key of the connection,
    /// whose task is woken anyway.
    place: u32,
    in_slot: bool,
    busy: bool,
    registered: Option<Registered>,
    /// Until the code says by itself whether the connection is active, if its task does so.
    activity: Option<ActivityOverride>,
}

/// The waker that is woken when the server drains.
struct Registered {
    /// Keeps the waker's data alive, so that no other waker has the same address.
    clone: Waker,
    /// The table of the waker itself. That of a clone may differ.
    table: &'static RawWakerVTable,
}

impl Registered {
    fn new(waker: &Waker) -> Registered {
        Registered { clone: waker.clone(), table: waker.vtable() }
    }

    #[inline]
    fn is_of(&self, waker: &Waker) -> bool {
        self.clone.data() == waker.data() && ptr::eq(self.table, waker.vtable())
    }
}

impl DrainSignal {
    /// The signal of the connection `key`.
    pub(super) fn new(set: &Arc<ConnectionSet>, key: u32) -> DrainSignal {
        let set = Arc::clone(set);
        DrainSignal {
            set,
            place: key,
            in_slot: false,
            busy: false,
            registered: None,
            activity: None,
        }
    }

    /// Whether the server has begun to drain.
    #[inline]
    pub fn is_draining(&self) -> bool {
        self.set.is_draining()
    }

    /// Whether the server has begun to drain. If not, the task is woken when it does; only the task
    /// that polled last is.
    ///
    /// Cheap enough to be called at each poll: it reads one word of memory.
    #[inline]
    pub fn poll_draining(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_draining() {
            return Poll::Ready(());
        }
        self.watch(cx.waker());
        // The drain may have begun before the waker was registered.
        if self.is_draining() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the server drains. Cancel-safe.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub async fn draining(&mut self) {
        operation::proceed().await;
        poll_fn(|cx| {
            ready!(coop::poll_closing());
            self.poll_draining(cx)
        })
        .await;
    }

    /// As [`draining`](DrainSignal::draining), as a future that borrows nothing: for streams that end
    /// with it, such as those of `futures::StreamExt::take_until`.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub async fn draining_owned(mut self) {
        self.draining().await;
    }

    /// Says whether the connection is active, such as serving a request. It decides nothing but what
    /// the metrics say: a drain waits for the connection either way.
    ///
    /// Without a call the server finds out by itself, as [`Builder::accepted`](crate::server::Builder::accepted)
    /// says. The first call ends that for the rest of the connection, also if it changes nothing. What
    /// was said ends with the signal: a connection whose signal is dropped is idle.
    pub fn set_busy(&mut self, busy: bool) {
        if let Some(activity) = self.activity.take() {
            activity.end();
        }
        self.count_busy(busy);
    }

    fn count_busy(&mut self, busy: bool) {
        if mem::replace(&mut self.busy, busy) != busy {
            self.set.count_busy(busy);
        }
    }

    /// Has the task of the connection find out whether it is active, until
    /// [`set_busy`](DrainSignal::set_busy) says so.
    pub(crate) fn begin_activity(&mut self) -> Activity {
        let activity = Activity::new(&self.set);
        self.activity = Some(activity.to_override());
        activity
    }

    /// What the connection shares with the others of its server.
    #[inline]
    pub(crate) fn set(&self) -> &Arc<ConnectionSet> {
        &self.set
    }

    /// Has `waker` woken, instead of the one before, when the server drains and when it force-closes
    /// connections. The caller then looks whether either has begun.
    #[inline]
    pub(crate) fn watch(&mut self, waker: &Waker) {
        if !self.registered.as_ref().is_some_and(|registered| registered.is_of(waker)) {
            self.register(waker);
        }
    }

    #[cold]
    fn register(&mut self, waker: &Waker) {
        let (clone, place) = (waker.clone(), self.place as usize);
        if self.in_slot {
            self.set.table.set_signal(place, clone);
        } else if let Some(slot) = self.set.table.add_signal(place, clone) {
            self.place = u32::try_from(slot).expect("no process has 2^32 signals in memory");
            self.in_slot = true;
        }
        self.registered = Some(Registered::new(waker));
    }
}

impl Drop for DrainSignal {
    fn drop(&mut self) {
        self.count_busy(false);
        if self.in_slot {
            self.set.table.remove_signal(self.place as usize);
        }
    }
}

impl fmt::Debug for DrainSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainSignal")
            .field("is_draining", &self.is_draining())
            .field("busy", &self.busy)
            .finish_non_exhaustive()
    }
}
