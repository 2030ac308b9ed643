//! Log lines: which, how they look, and how they reach standard error without anybody waiting.

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;

use super::options::LogFormat;

/// The log, while it runs: a bounded queue, and a thread that writes what is in it.
///
/// Whoever logs never waits: a line that finds the queue full is dropped and counted.
pub(crate) struct Logging {
    writer: WorkerGuard,
    dropped: ErrorCounter,
}

/// RUST_LOG is set to something that is no filter.
#[derive(Debug, thiserror::Error)]
#[error("cannot use RUST_LOG={value:?}: {reason}")]
pub(crate) struct FilterError {
    value: String,
    reason: String,
}

/// Reads RUST_LOG; without it, what is worth knowing is logged.
pub(crate) fn filter() -> Result<EnvFilter, FilterError> {
    let value = match std::env::var_os("RUST_LOG") {
        None => DEFAULT_FILTER.to_owned(),
        Some(value) => value.to_string_lossy().into_owned(),
    };
    EnvFilter::try_new(&value).map_err(|error| FilterError { reason: error.to_string(), value })
}

impl Logging {
    /// Starts the thread, and makes this the log of the process.
    pub(crate) fn start(filter: EnvFilter, format: LogFormat) -> Logging {
        let (queue, writer) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(QUEUED_LINES)
            .thread_name("heist-log")
            .finish(std::io::stderr());
        let dropped = queue.error_counter();
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(queue);
        match format {
            LogFormat::Text => lines.with_ansi(false).init(),
            LogFormat::Json => lines.json().init(),
        }
        Logging { writer, dropped }
    }

    /// Counts the lines that were dropped.
    pub(crate) fn dropped_lines(&self) -> ErrorCounter {
        self.dropped.clone()
    }

    /// Writes what waits, and returns how many lines were dropped.
    pub(crate) fn end(self) -> usize {
        drop(self.writer);
        self.dropped.dropped_lines()
    }
}

const DEFAULT_FILTER: &str = "info";

/// A few megabytes at most.
const QUEUED_LINES: usize = 16_384;
