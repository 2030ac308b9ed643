//! The errors, typed where a caller can act on them.

use std::io;

/// The event queue was closed: no source of it becomes ready again.
///
/// Found inside the [`io::Error`] (kind [`Other`](io::ErrorKind::Other)) that every operation of a
/// [`Source`](crate::Source) returns after [`Queue::close`](crate::Queue::close).
///
/// ```
/// use heist::reactor::Closed;
/// use std::io;
///
/// fn is_closed(error: &io::Error) -> bool {
///     error.get_ref().is_some_and(|inner| inner.is::<Closed>())
/// }
/// assert!(is_closed(&io::Error::from(Closed)));
/// assert!(!is_closed(&io::Error::other("something else")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event queue is closed")]
pub struct Closed;

impl From<Closed> for io::Error {
    fn from(closed: Closed) -> io::Error {
        io::Error::other(closed)
    }
}

/// The reason why [`Queue::register`](crate::Queue::register) did not take a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The queue is closed and takes no source any more.
    #[error("cannot register a source: the event queue is closed")]
    Closed,
    /// All slots are taken: drop sources, or raise
    /// [`Config::max_sources`](crate::Config::max_sources).
    #[error("cannot register a source: all {max} slots of the event queue are taken")]
    Full {
        /// The number of sources that the queue was made for.
        max: usize,
    },
    /// The operating system refused: out of memory or watches, a kind of file that cannot be
    /// watched (`EPERM`), or one that this queue watches already (`EEXIST`).
    #[error("cannot register a source with the operating system: {0}")]
    Os(#[source] io::Error),
}

impl From<RegisterError> for io::Error {
    fn from(error: RegisterError) -> io::Error {
        match error {
            RegisterError::Closed => Closed.into(),
            RegisterError::Full { .. } => io::Error::other(error),
            RegisterError::Os(os) => os,
        }
    }
}
