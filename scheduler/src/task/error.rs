//! Why a task has no output.

use std::any::Any;
use std::fmt;
use std::io;

use parking_lot::Mutex;

use super::refusal::Refusal;
use crate::panics;

/// Why a task has no output.
///
/// A panic is reported by this error alone: it is [logged](crate::JoinHandle) only if no handle waits for the
/// task. Rust's panic hook, which by default prints, is called in any case.
///
/// It implements `Error + Send + Sync`, so `?` converts it into `Box<dyn Error + Send + Sync>`, and into
/// [`io::Error`].
///
/// ```
/// # let runtime = heist::Builder::new().workers(1).start()?;
/// async fn answer() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
///     Ok(heist::spawn(async { 6 * 7 }).await?)
/// }
/// assert_eq!(runtime.block_on(answer()).unwrap(), 42);
/// # Ok::<(), heist::StartError>(())
/// ```
pub struct JoinError(pub(super) Kind);

pub(super) enum Kind {
    Cancelled,
    /// Locked so that the error is `Sync`, which a payload need not be.
    Panicked(Mutex<Box<dyn Any + Send>>),
    Refused(Refusal),
}

impl JoinError {
    /// The task was aborted, or dropped because the runtime shut down; or it was blocking work for
    /// which no thread could be started.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Kind::Cancelled)
    }

    /// The task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Kind::Panicked(_))
    }

    /// The task was never taken: the runtime was shutting down or a bound was reached.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.0, Kind::Refused(_))
    }

    /// The payload of the panic, to be raised again by [`std::panic::resume_unwind`].
    ///
    /// # Panics
    /// If the task did not panic: ask [`is_panic`](JoinError::is_panic) before, or use
    /// [`try_into_panic`](JoinError::try_into_panic).
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("JoinError::into_panic of a task that did not panic: {error}"),
        }
    }

    /// As [`into_panic`](JoinError::into_panic), for an error that may be another one.
    ///
    /// # Errors
    /// Gives the error back if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        match self.0 {
            Kind::Panicked(payload) => Ok(payload.into_inner()),
            other => Err(JoinError(other)),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Cancelled => f.write_str("the task was cancelled"),
            Kind::Panicked(payload) => {
                write!(f, "the task panicked: {}", panics::message(&**payload.lock()))
            }
            Kind::Refused(refusal) => write!(f, "the task was refused: {refusal}"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    /// With the kind `ResourceBusy` for a task that was refused at a bound or for want of a thread, `Other` for
    /// every other reason. The error itself is kept as the source.
    fn from(error: JoinError) -> io::Error {
        let kind = match error.0 {
            Kind::Refused(Refusal::Full { .. } | Refusal::NoThread) => io::ErrorKind::ResourceBusy,
            Kind::Refused(Refusal::ShuttingDown) | Kind::Cancelled | Kind::Panicked(_) => {
                io::ErrorKind::Other
            }
        };
        io::Error::new(kind, error)
    }
}
