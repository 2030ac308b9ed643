//! How many connections there are descriptors for.

use std::io;

use heist::net::{AcceptErrorKind, accept_error_kind};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, as `heist` does: it is low for the sake of programs that
/// use `select`. Where it cannot be raised, it stays.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// How many descriptors this process may have open.
pub(crate) fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX)
}

/// How many connections the limit allows beside what is open now.
pub(crate) fn room() -> usize {
    let open = std::fs::read_dir("/dev/fd").map_or(SPARE, Iterator::count);
    limit().saturating_sub(open + SPARE).max(1)
}

/// Whether `error` is a shortage of descriptors or memory here, and says nothing of the peer. `socket`
/// fails for the same reasons as `accept`.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    accept_error_kind(error) == AcceptErrorKind::Exhausted
}

/// Descriptors for what is opened in passing, such as a file of the system's resolver.
const SPARE: usize = 8;
