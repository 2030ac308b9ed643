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
    /// The hook of [`Builder::on_thread_start`] panicked; the threads have been ended.
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
