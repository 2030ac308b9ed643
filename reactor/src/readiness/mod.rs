//! The readiness word of a source: its generation and its flags in one atomic.
//!
//! Readiness is state, not a message. A dispatcher (a thread that delivers an event) sets the ready
//! bit of a direction. The task clears the bit *before* it drains the source. So an edge that
//! arrives during the drain sets the bit again, and nothing needs to be compared afterwards. A task
//! that stops early sets the bit itself.
//!
//! # Why no wake-up is lost
//!
//! A waiting task stores its waker, then sets its `WAITING` bit. A dispatcher sets the ready bit,
//! then takes the waker if it found `WAITING`. Both are read-modify-writes of this one word, so one
//! of them comes first:
//!
//! - **The task's is first.** The dispatcher finds `WAITING`. Its Acquire pairs with the task's
//!   Release, so it also finds the stored waker, or a third thread took that waker in between and
//!   wakes it.
//! - **The dispatcher's is first.** The task's own read-modify-write returns the ready bit (the second
//!   look), and the task does not wait.
//!
//! In the second case the task takes a waker out of the slot again and wakes it. This may be the
//! waker of another task by now: an event may have counted on finding a waker there.
//!
//! The same argument holds with [`Readiness::put_back`] or [`Readiness::mark_closed`] in the place
//! of the dispatcher.
//!
//! **Keyed waiters.** An event wakes one of several keyed waiters, and the others depend on that one.
//! `WAITING` is set again for them under the lock that the wakers are taken under. So a later event
//! finds them; and so does the woken waiter, which passes the event on when it puts the ready bit
//! back ([`Readiness::put_back`]) or leaves while the bit is set ([`Readiness::pass_on`]). An event
//! that comes while `WAITING` is clear wakes none of them, but then the thread that cleared it is
//! about to take a waker, and the task that this waker wakes looks at the word later than that.
//!
//! **Persistent wakers.** A persistent waker is cloned and not taken, and its task sets `WAITING` again
//! without storing it. So the `PERSISTENT` bit must never be set while no waker is stored, or the
//! task waits in vain. It is set under the lock that the waker is stored under, and a thread that
//! takes a waker out reads it under the same lock. (A dispatcher that acts on a word it read
//! earlier takes, late, the waker of the next wait.)

mod bits;
mod outcome;
mod word;

#[cfg(all(test, not(heist_loom)))]
mod tests;

pub(crate) use self::bits::Bits;
pub use self::bits::Direction;
pub(crate) use self::outcome::{Arming, Delivery, Status};
pub(crate) use self::word::Readiness;
