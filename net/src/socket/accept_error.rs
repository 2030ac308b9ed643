//! Errors of `accept`, by what they concern.

use std::io;

use heist_reactor::RegisterError;
use rustix::io::Errno;

/// The subject of an error of `accept`; see [`accept_error_kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcceptErrorKind {
    /// One connection, which failed before it was accepted. Count it and accept the next.
    Connection,
    /// The process or the machine has no more descriptors, memory or slots in the event queue.
    /// Accepting again at once fails again: wait until a descriptor is closed.
    Exhausted,
    /// The listener itself: it accepts no connection any more.
    Fatal,
}

/// Whether an error of `accept` concerns one connection, the machine's resources, or the listener.
///
/// ```
/// use heist::net::{AcceptErrorKind, accept_error_kind};
/// use std::io;
///
/// let aborted = io::Error::from(io::ErrorKind::ConnectionAborted);
/// assert_eq!(accept_error_kind(&aborted), AcceptErrorKind::Connection);
/// ```
pub fn accept_error_kind(error: &io::Error) -> AcceptErrorKind {
    match Errno::from_io_error(error) {
        Some(errno) if CONNECTION.contains(&errno) => AcceptErrorKind::Connection,
        Some(errno) if EXHAUSTED.contains(&errno) => AcceptErrorKind::Exhausted,
        Some(_) => AcceptErrorKind::Fatal,
        None if is_queue_full(error) => AcceptErrorKind::Exhausted,
        None if error.kind() == io::ErrorKind::ConnectionAborted => AcceptErrorKind::Connection,
        None => AcceptErrorKind::Fatal,
    }
}

/// The system's name of an error of `accept`, such as `EMFILE`: the label that it is counted under.
pub(crate) fn accept_error_name(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(errno) => NAMES.iter().find(|(known, _)| *known == errno).map_or("other", |n| n.1),
        None if is_queue_full(error) => "queue_full",
        None => "other",
    }
}

fn is_queue_full(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(RegisterError::Full { .. }))
}

/// Errors of the connection, which Linux passes on from its network; `PERM` comes from a firewall.
const CONNECTION: &[Errno] = &[
    Errno::CONNABORTED,
    Errno::CONNRESET,
    Errno::PROTO,
    Errno::PERM,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::HOSTDOWN,
    Errno::HOSTUNREACH,
    Errno::NOPROTOOPT,
    Errno::OPNOTSUPP,
    Errno::TIMEDOUT,
    Errno::INTR,
];

/// `NOSPC` is the kernel's limit on watched descriptors, met when an accepted socket is registered.
const EXHAUSTED: &[Errno] =
    &[Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::NOSPC];

/// The labels of a metric must be few.
const NAMES: &[(Errno, &str)] = &[
    (Errno::CONNABORTED, "ECONNABORTED"),
    (Errno::CONNRESET, "ECONNRESET"),
    (Errno::PROTO, "EPROTO"),
    (Errno::PERM, "EPERM"),
    (Errno::NETDOWN, "ENETDOWN"),
    (Errno::NETUNREACH, "ENETUNREACH"),
    (Errno::HOSTDOWN, "EHOSTDOWN"),
    (Errno::HOSTUNREACH, "EHOSTUNREACH"),
    (Errno::NOPROTOOPT, "ENOPROTOOPT"),
    (Errno::OPNOTSUPP, "EOPNOTSUPP"),
    (Errno::TIMEDOUT, "ETIMEDOUT"),
    (Errno::INTR, "EINTR"),
    (Errno::MFILE, "EMFILE"),
    (Errno::NFILE, "ENFILE"),
    (Errno::NOBUFS, "ENOBUFS"),
    (Errno::NOMEM, "ENOMEM"),
    (Errno::NOSPC, "ENOSPC"),
    (Errno::BADF, "EBADF"),
    (Errno::INVAL, "EINVAL"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn econnaborted_does_not_end_the_listener() {
        let error = io::Error::from(Errno::CONNABORTED);
        assert_eq!(accept_error_kind(&error), AcceptErrorKind::Connection);
    }

    #[test]
    fn emfile_and_a_full_table_are_exhaustion() {
        let descriptors = io::Error::from(Errno::MFILE);
        assert_eq!(accept_error_kind(&descriptors), AcceptErrorKind::Exhausted);
        let table = io::Error::from(RegisterError::Full { max: 1 });
        assert_eq!(accept_error_kind(&table), AcceptErrorKind::Exhausted);
    }

    #[test]
    fn every_known_error_is_counted_by_its_name() {
        for errno in CONNECTION.iter().chain(EXHAUSTED) {
            assert_ne!(accept_error_name(&io::Error::from(*errno)), "other", "{errno:?}");
        }
        let table = io::Error::from(RegisterError::Full { max: 1 });
        assert_eq!(accept_error_name(&table), "queue_full");
    }

    #[test]
    fn closed_queue_and_bad_descriptor_end_the_listener() {
        let closed = io::Error::from(heist_reactor::Closed);
        assert_eq!(accept_error_kind(&closed), AcceptErrorKind::Fatal);
        let bad = io::Error::from(Errno::BADF);
        assert_eq!(accept_error_kind(&bad), AcceptErrorKind::Fatal);
    }
}
