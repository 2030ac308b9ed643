//! What the system says of a socket at once, without an operation.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec};

/// `WouldBlock` unless a read would find something: bytes, a datagram, a pending connection, the end
/// or an error. It stays where it is.
pub(crate) fn readable(socket: &impl AsFd) -> io::Result<()> {
    ready(socket, PollFlags::IN)
}

/// `WouldBlock` unless a write would find room or an error. A socket that connects has no room.
pub(crate) fn writable(socket: &impl AsFd) -> io::Result<()> {
    ready(socket, PollFlags::OUT)
}

fn ready(socket: &impl AsFd, events: PollFlags) -> io::Result<()> {
    match events_now(socket, events)? {
        none if none.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Which of `events` a socket has. The system adds an error, and the end of both directions.
pub(crate) fn events_now(socket: &impl AsFd, events: PollFlags) -> io::Result<PollFlags> {
    let mut socket = [PollFd::new(socket, events)];
    rustix::event::poll(&mut socket, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(socket[0].revents())
}
