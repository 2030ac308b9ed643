//! Why a runtime did not start.

use std::io;

/// Why a runtime did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The operating system gave no thread; those already started have been ended.
    #[error(
        "could not start thread {name}: {source}; lower the number of workers or raise the limit on processes"
    )]
    Thread {
        /// Name of the thread.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system gave no timer for the monitor.
    #[error("could not create the monitor's timer: {0}; raise the limit on open files")]
    Timer(#[source] io::Error),
    /// The hook of [`on_thread_start`](crate::Builder::on_thread_start) panicked; the threads have been
    /// ended.
    #[error("the hook on_thread_start panicked on thread {thread}: {message}; mend the hook")]
    StartHook {
        /// Name of the thread.
        thread: String,
        /// What the hook panicked with.
        message: String,
    },
    /// A setting is out of its bounds.
    #[error("{setting} must be between {min} and {max}, not {value}")]
    OutOfBounds {
        /// Name of the setting.
        setting: &'static str,
        /// The value that was given.
        value: usize,
        /// The least that is accepted.
        min: usize,
        /// The most that is accepted.
        max: usize,
    },
}

impl From<StartError> for io::Error {
    /// With the kind of what the system said; `InvalidInput` for a setting that is out of its bounds. The
    /// error itself is kept as the source.
    fn from(error: StartError) -> io::Error {
        let kind = match &error {
            StartError::Thread { source, .. } | StartError::Timer(source) => source.kind(),
            StartError::StartHook { .. } => io::ErrorKind::Other,
            StartError::OutOfBounds { .. } => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::{Builder, Idle, Runtime};

    #[test]
    fn an_io_error_has_the_kind_and_keeps_the_words_and_the_source() {
        let start = || -> io::Result<Runtime> { Ok(Builder::new().workers(0).start(Idle::new())?) };
        let error = start().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with("workers must be between 1 and"), "{error}");
        assert!(error.get_ref().unwrap().is::<StartError>());

        let no_thread = io::Error::from(io::ErrorKind::WouldBlock);
        let error = io::Error::from(StartError::Thread { name: "w".into(), source: no_thread });
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let source = std::error::Error::source(error.get_ref().unwrap());
        assert!(source.unwrap().is::<io::Error>());
    }
}
