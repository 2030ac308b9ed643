//! The tasks that wait for a drain on one connection.

use std::mem;
use std::task::{Poll, Waker};

use heist_scheduler::panics;
use parking_lot::Mutex;
use slab::Slab;

/// The tasks that wait for the drain on one connection.
#[derive(Debug, Default)]
pub(super) struct DrainWaiters {
    /// Holding this is the right to change the list. No waker is cloned, called or dropped under it.
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
enum Waiting {
    /// By their slots.
    For(Slab<Waker>),
    /// The drain has begun, or the connection has ended.
    Over,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting::For(Slab::new())
    }
}

impl DrainWaiters {
    /// Whether the drain has begun or the connection ended; if not, `waker` is woken then. `slot` is
    /// the caller's.
    pub(super) fn poll(&self, slot: &mut Option<usize>, waker: &Waker) -> Poll<()> {
        let waker = waker.clone();
        let unused = match &mut *self.waiting.lock() {
            Waiting::Over => {
                *slot = None;
                Err(waker)
            }
            Waiting::For(wakers) => match *slot {
                Some(slot) => Ok(Some(mem::replace(&mut wakers[slot], waker))),
                None => {
                    *slot = Some(wakers.insert(waker));
                    Ok(None)
                }
            },
        };
        match unused {
            Ok(_replaced) => Poll::Pending,
            Err(_unused) => Poll::Ready(()),
        }
    }

    /// The task of this slot waits no more.
    pub(super) fn remove(&self, slot: usize) {
        let waker = match &mut *self.waiting.lock() {
            Waiting::For(wakers) => wakers.try_remove(slot),
            Waiting::Over => None,
        };
        drop(waker);
    }

    /// Wakes all. From now on no task waits.
    pub(super) fn close(&self) {
        let waiting = mem::replace(&mut *self.waiting.lock(), Waiting::Over);
        if let Waiting::For(wakers) = waiting {
            panics::wake_all(wakers.into_iter().map(|(_, waker)| waker));
        }
    }
}
