//! The messages that wait, and the senders that wait for room.

use std::collections::VecDeque;
use std::mem;
use std::task::{Context, Poll, Waker};

use heist_scheduler::panics;
use parking_lot::{Mutex, MutexGuard};

use super::error::SendError;
use super::wait_list::{WaitList, WaiterKey};
use crate::runtime::wakers::LazyWaker;

/// What the senders and the connection share.
///
/// One lock guards all of it, and each operation holds it once for each decision: there is no order of
/// two operations that a single thread cannot bring about. A loom model would find nothing more.
/// Wakers and messages are foreign code: they are cloned, called and dropped without the lock.
pub(in crate::protocol) struct Inbox<M> {
    state: Mutex<State<M>>,
    bound: usize,
}

struct State<M> {
    /// With the slots given in `waiting` never more than the bound, and as many if a sender waits.
    messages: VecDeque<M>,
    /// The connection's, while it waits for a message.
    receiver: Option<Waker>,
    waiting: WaitList,
    /// A sender wants the connection to end.
    aborted: bool,
    /// All keys of waiters are void. Never taken back.
    closed: bool,
}

/// What the connection finds in its inbox.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Taken<M> {
    Message(M),
    /// It is to end at once.
    Abort,
}

impl<M> Inbox<M> {
    /// At least one message has room: without room its senders would wait for ever.
    pub(in crate::protocol) fn new(bound: usize) -> Inbox<M> {
        let state = State {
            messages: VecDeque::new(),
            receiver: None,
            waiting: WaitList::default(),
            aborted: false,
            closed: false,
        };
        Inbox { state: Mutex::new(state), bound: bound.max(1) }
    }

    /// Takes the oldest message, and gives its slot to the first sender that waits; or stores the
    /// connection's waker.
    pub(in crate::protocol) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Taken<M>> {
        let mut waker = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.aborted {
                return Poll::Ready(Taken::Abort);
            }
            if let Some(message) = state.messages.pop_front() {
                let next = state.waiting.give();
                drop(state);
                panics::wake_all(next);
                return Poll::Ready(Taken::Message(message));
            }
            if waker.store_in(&mut state.receiver) {
                return Poll::Pending;
            }
            drop(state);
            waker.prepare();
        }
    }

    #[cfg(test)]
    pub(super) fn is_locked(&self) -> bool {
        self.state.is_locked()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Whether a sender wants the connection to end; if not, stores its waker. Leaves the messages.
    pub(in crate::protocol) fn poll_abort(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waker = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.aborted {
                return Poll::Ready(());
            }
            if waker.store_in(&mut state.receiver) {
                return Poll::Pending;
            }
            drop(state);
            waker.prepare();
        }
    }

    pub(super) fn abort(&self) {
        let mut state = self.state.lock();
        state.aborted = true;
        let receiver = state.receiver.take();
        drop(state);
        panics::wake_all(receiver);
    }

    /// Refuses all messages from now on, and drops those that wait.
    pub(in crate::protocol) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let messages = mem::take(&mut state.messages);
        let senders = state.waiting.close();
        let receiver = state.receiver.take();
        drop(state);
        panics::wake_all(senders);
        drop((messages, receiver));
    }

    pub(super) fn try_put(&self, message: M) -> Result<(), SendError<M>> {
        let state = self.state.lock();
        if state.closed {
            return Err(SendError::Closed(message));
        }
        if !state.has_room(self.bound) {
            return Err(SendError::Full(message));
        }
        put(state, message);
        Ok(())
    }

    /// As `try_put`, but if there is no room the task is woken once there is a slot for it.
    /// `waiter` names it meanwhile.
    pub(super) fn put_or_wait(
        &self,
        message: M,
        waiter: &mut Option<WaiterKey>,
        cx: &mut Context<'_>,
    ) -> Result<(), SendError<M>> {
        let mut waker = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.closed {
                *waiter = None;
                return Err(SendError::Closed(message));
            }
            let waits = match *waiter {
                Some(key) if state.waiting.has_slot(key) => {
                    state.waiting.take_slot(key);
                    *waiter = None;
                    put(state, message);
                    return Ok(());
                }
                Some(key) => waker.store_in(state.waiting.waker(key)),
                None if state.has_room(self.bound) => {
                    put(state, message);
                    return Ok(());
                }
                None => match waker.take() {
                    Some(clone) => {
                        *waiter = Some(state.waiting.wait(clone));
                        true
                    }
                    None => false,
                },
            };
            drop(state);
            if waits {
                return Err(SendError::Full(message));
            }
            waker.prepare();
        }
    }

    /// A sender waits no longer.
    pub(super) fn leave(&self, waiter: WaiterKey) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let (waker, next) = state.waiting.leave(waiter);
        drop(state);
        panics::wake_all(next);
        drop(waker);
    }
}

impl<M> State<M> {
    /// Whether there is a slot that no sender was given.
    fn has_room(&self, bound: usize) -> bool {
        self.messages.len() + self.waiting.given() < bound
    }
}

/// Adds a message that has a slot, and wakes the connection without the lock.
fn put<M>(mut state: MutexGuard<'_, State<M>>, message: M) {
    state.messages.push_back(message);
    let receiver = state.receiver.take();
    drop(state);
    panics::wake_all(receiver);
}
