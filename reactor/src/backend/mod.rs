//! The system's event queue, as the crate sees it: a back end.
//!
//! A back end is one module, `epoll` or `portable`, with the constant `MAX_WAITERS` and a type
//! `Shard` that must
//!
//! 1. hand each event of the kernel to exactly one caller of `poll` or `wait`;
//! 2. hold back no more than `bound` events from other callers, or hand what it holds to the next
//!    caller;
//! 3. make one waiting thread, or else the next caller, return with `woken` set after each `wake`.
//!    Wakes that were not taken yet may coalesce into one; none is lost. As far as the system keeps
//!    an order, a wake comes after the events that were there before it;
//! 4. after `close`, make every thread return with `closed` set, now and later, still with the
//!    events that were there;
//! 5. return nothing, not an error, when a signal interrupts it;
//! 6. answer `ready` without taking anything: no while the one thread that may wait is inside, since
//!    that thread takes all events; yes after an error, which the next caller meets;
//! 7. tell in `MAX_WAITERS` how many threads may wait on one shard at once.

#[cfg(all(target_os = "linux", not(heist_portable)))]
mod epoll;
#[cfg(not(all(target_os = "linux", not(heist_portable))))]
mod portable;
mod signals;

#[cfg(all(target_os = "linux", not(heist_portable)))]
pub(crate) use self::epoll::{MAX_WAITERS, Shard};
#[cfg(not(all(target_os = "linux", not(heist_portable))))]
pub(crate) use self::portable::{MAX_WAITERS, Shard};
pub(crate) use self::signals::{BATCH, FAR, Signals};
