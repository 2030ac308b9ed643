//! The back end on Linux: any number of threads wait on one epoll instance, and the kernel wakes
//! one of them for each event.
//!
//! mio owns the instance and registers the sources. Waiting does not go through mio, because its
//! own wait takes exclusive access. This is the one file of the crate with unsafe code.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::unix::SourceFd;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

use super::signals::{BATCH, Signals};
use crate::readiness::Bits;
use crate::token::Token;

/// Any number of threads may wait on one shard.
pub(crate) const MAX_WAITERS: usize = usize::MAX;

/// The event means [`Queue::close`](crate::Queue::close).
const CLOSE: Token = Token::reserved(1);

/// One epoll instance and the two signals that go through it.
#[derive(Debug)]
pub(crate) struct Shard {
    poll: mio::Poll,
    /// Edge-triggered: each write is a new edge, which the kernel hands to one thread. Its count
    /// means nothing and is read only when it is full.
    wake: OwnedFd,
    /// Level-triggered and never read: once written, every thread that polls finds it.
    close: OwnedFd,
}

impl Shard {
    pub(crate) fn new() -> io::Result<Shard> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let shard =
            Shard { poll: mio::Poll::new()?, wake: eventfd(0, flags)?, close: eventfd(0, flags)? };
        shard.registry().register(
            &mut SourceFd(&shard.wake.as_raw_fd()),
            Token::WAKE.into(),
            mio::Interest::READABLE,
        )?;
        // mio registers edge-triggered only.
        epoll::add(
            shard.registry().as_fd(),
            &shard.close,
            epoll::EventData::new_u64(CLOSE.into_raw()),
            epoll::EventFlags::IN,
        )?;
        Ok(shard)
    }

    pub(crate) fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    pub(crate) fn poll(
        &self,
        bound: usize,
        deliver: impl FnMut(Token, Bits),
    ) -> io::Result<Signals> {
        self.wait(bound, Some(Duration::ZERO), deliver)
    }

    pub(crate) fn wait(
        &self,
        bound: usize,
        timeout: Option<Duration>,
        mut deliver: impl FnMut(Token, Bits),
    ) -> io::Result<Signals> {
        let mut buffer = [const { MaybeUninit::uninit() }; BATCH];
        let mut signals = Signals::default();
        for event in self.harvest(&mut buffer[..bound], timeout)? {
            let token = Token::from_raw(event.u64);
            match token.is_reserved() {
                false => deliver(token, bits(event.events)),
                true if token == Token::WAKE => signals.woken = true,
                true => signals.closed = true,
            }
        }
        Ok(signals)
    }

    pub(crate) fn wake(&self) -> io::Result<()> {
        while let Err(error) = rustix::io::write(&self.wake, &1_u64.to_ne_bytes()) {
            match error {
                // Full after 2^64 - 2 wakes, or in a test. Reading empties it. If another thread
                // has read it first, there is nothing to read and there is room to write.
                Errno::AGAIN => drop(rustix::io::read(&self.wake, &mut [0; 8])),
                Errno::INTR => {}
                _ => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(crate) fn close(&self) {
        // Cannot fail: this owns the descriptor, and its count, written once, has room.
        let written = rustix::io::write(&self.close, &1_u64.to_ne_bytes());
        debug_assert_eq!(written, Ok(8));
    }

    pub(crate) fn ready(&self) -> bool {
        let instance = self.registry().as_fd();
        let mut fds = [PollFd::new(&instance, PollFlags::IN)];
        // Yes after an error, too: the next caller meets it.
        rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
    }

    /// Waits for events; returns the front of the buffer that the kernel filled.
    fn harvest<'a>(
        &self,
        buffer: &'a mut [MaybeUninit<libc::epoll_event>],
        timeout: Option<Duration>,
    ) -> io::Result<&'a [libc::epoll_event]> {
        let taken = match timeout {
            None => self.wait_millis(buffer, -1),
            Some(Duration::ZERO) => self.wait_millis(buffer, 0),
            Some(timeout) if timeout >= LONG => self.wait_millis(buffer, floor_millis(timeout)),
            Some(timeout) => self.wait_for(buffer, timeout),
        };
        let taken = match taken {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            taken => taken?,
        };
        // SAFETY: the kernel wrote `taken` events to the front of the buffer, and never returns a
        // count above the buffer's length, which it was given. An element of the buffer has the
        // layout of an event, and the buffer is borrowed for as long as the result.
        Ok(unsafe { slice::from_raw_parts(buffer.as_ptr().cast(), taken) })
    }

    /// Waits a finite time, to the nanosecond where the kernel has the call for it (5.11 and
    /// later).
    fn wait_for(
        &self,
        buffer: &mut [MaybeUninit<libc::epoll_event>],
        timeout: Duration,
    ) -> io::Result<usize> {
        // Relaxed, here and below: a hint that guards nothing; a thread that misses it asks the
        // kernel once more.
        if !NO_NANOSECONDS.load(Ordering::Relaxed) {
            match self.wait_nanos(buffer, timeout) {
                // An old kernel, or a sandbox that refuses the call.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    NO_NANOSECONDS.store(true, Ordering::Relaxed);
                }
                taken => return taken,
            }
        }
        self.wait_millis(buffer, whole_millis(timeout))
    }

    fn wait_millis(
        &self,
        buffer: &mut [MaybeUninit<libc::epoll_event>],
        millis: c_int,
    ) -> io::Result<usize> {
        // SAFETY: the instance is open while `self` lives. The kernel writes at most as many events
        // as the length tells, to a buffer that this call alone borrows until it returns.
        let taken = unsafe {
            libc::epoll_wait(
                self.registry().as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len() as c_int,
                millis,
            )
        };
        count(taken.into())
    }

    fn wait_nanos(
        &self,
        buffer: &mut [MaybeUninit<libc::epoll_event>],
        timeout: Duration,
    ) -> io::Result<usize> {
        let timeout =
            Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        // SAFETY: the instance is open while `self` lives. The kernel writes at most as many events
        // as the length tells, to a buffer that this call alone borrows until it returns. The time
        // is two 64-bit integers, as the call takes them, and lives until it returns. No signal
        // mask is given, so its size is ignored. Called by number, because not every C library that
        // this may be linked with has a function for it.
        let taken = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.registry().as_raw_fd(),
                buffer.as_mut_ptr(),
                buffer.len() as c_int,
                ptr::from_ref(&timeout),
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        count(taken)
    }
}

/// Rounded down: a wait that returns early is repeated for the rest, to the nanosecond. A wait that is
/// too long for the call is capped.
fn floor_millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}

/// Rounded up, so that a short wait is no busy loop; a wait that is too long for the call is
/// capped.
fn whole_millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
}

fn count(taken: libc::c_long) -> io::Result<usize> {
    usize::try_from(taken).map_err(|_| io::Error::last_os_error())
}

/// The flags of the word for the kernel's event. RDHUP is the end of the peer's half alone; HUP is
/// the end of both.
#[inline]
fn bits(events: u32) -> Bits {
    // Nearly all events are this alone.
    if events == libc::EPOLLIN as u32 {
        return Bits::READABLE;
    }
    let mut bits = Bits::NONE;
    for (flag, meaning) in MEANINGS {
        if events & flag as u32 != 0 {
            bits = bits | meaning;
        }
    }
    bits
}

const MEANINGS: [(c_int, Bits); 6] = [
    (libc::EPOLLIN, Bits::READABLE),
    (libc::EPOLLOUT, Bits::WRITABLE),
    (libc::EPOLLPRI, Bits::URGENT_DATA),
    (libc::EPOLLRDHUP, Bits::READ_END),
    (libc::EPOLLHUP, Bits::READ_END.union(Bits::WRITE_END)),
    (libc::EPOLLERR, Bits::FAILED),
];

/// From here on the kernel waits in milliseconds, which costs it less than in nanoseconds also where an
/// event is there at once: 485 against 575 ns. Timers that are that far away, most of all the time
/// limits of idle connections, are the usual reason for a busy worker to wait with a time-out.
const LONG: Duration = Duration::from_secs(1);

/// Whether this kernel refused the wait in nanoseconds. Set by the first thread that is refused,
/// never cleared: the kernel does not change while the program runs.
static NO_NANOSECONDS: AtomicBool = AtomicBool::new(false);

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn reserved_tokens_differ() {
        assert_ne!(Token::WAKE, CLOSE);
    }

    #[test]
    fn rdhup_is_not_hup() {
        let half = bits((libc::EPOLLIN | libc::EPOLLRDHUP) as u32);
        assert_eq!(half, Bits::READ_END);
        assert!(!half.intersects(Bits::WRITABLE));
        assert_eq!(bits(libc::EPOLLHUP as u32), Bits::READ_END | Bits::WRITE_END);
    }

    #[test]
    fn error_alone_makes_both_directions_ready() {
        let error = bits(libc::EPOLLERR as u32);
        assert!(error.intersects(Bits::READABLE) && error.intersects(Bits::WRITABLE));
    }

    #[test]
    fn full_wake_counter_loses_no_wake() {
        let shard = Shard::new().unwrap();
        rustix::io::write(&shard.wake, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        assert!(shard.poll(1, |_, _| ()).unwrap().woken);
        shard.wake().unwrap();
        assert!(shard.wait(1, None, |_, _| ()).unwrap().woken);
    }

    #[test]
    fn kernel_without_nanoseconds_still_waits() {
        NO_NANOSECONDS.store(true, Ordering::Relaxed);
        let shard = Shard::new().unwrap();
        let mut buffer = [const { MaybeUninit::uninit() }; 1];
        assert_eq!(shard.wait_for(&mut buffer, Duration::from_micros(10)).unwrap(), 0);
        shard.wake().unwrap();
        assert_eq!(shard.wait_for(&mut buffer, Duration::from_secs(30)).unwrap(), 1);
        NO_NANOSECONDS.store(false, Ordering::Relaxed);
    }

    #[test]
    fn short_time_out_is_not_rounded_down_to_a_spin() {
        assert_eq!(whole_millis(Duration::from_nanos(1)), 1);
        assert_eq!(whole_millis(Duration::from_micros(1_001)), 2);
        assert_eq!(whole_millis(Duration::from_millis(7)), 7);
        assert_eq!(whole_millis(Duration::MAX), c_int::MAX);
    }

    /// Failure: a worker that waits for a timer is woken behind it, up to a millisecond late.
    #[test]
    fn long_time_out_is_never_rounded_up() {
        assert_eq!(floor_millis(LONG), 1_000);
        assert_eq!(floor_millis(LONG + Duration::from_nanos(999_999)), 1_000);
        assert_eq!(floor_millis(LONG + Duration::from_millis(1)), 1_001);
        assert_eq!(floor_millis(Duration::MAX), c_int::MAX);
    }

    #[test]
    fn far_time_out_is_taken_by_both_calls() {
        let shard = Shard::new().unwrap();
        let mut buffer = [const { MaybeUninit::uninit() }; 1];
        shard.wake().unwrap();
        assert_eq!(shard.wait_nanos(&mut buffer, crate::backend::FAR).unwrap(), 1);
        shard.wake().unwrap();
        assert_eq!(shard.wait_millis(&mut buffer, c_int::MAX).unwrap(), 1);
    }
}
