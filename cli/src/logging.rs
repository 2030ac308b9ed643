//! The log: its filter, its format, and the queue between workers and standard error.

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

use crate::options::LogFormat;

/// The running log: a bounded queue, and a thread that writes the queued lines.
///
/// Logging never waits: a line that finds the queue full is dropped and counted.
pub(crate) struct Logging {
    writer: WorkerGuard,
    dropped: ErrorCounter,
}

/// RUST_LOG has a value that is no filter.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use RUST_LOG={value:?}: {reason}; write a level such as debug, or heist_net=debug,info"
)]
pub(crate) struct FilterError {
    value: String,
    reason: String,
}

/// Reads RUST_LOG; without it, or if it is empty, the level is info.
pub(crate) fn filter() -> Result<EnvFilter, FilterError> {
    match std::env::var_os("RUST_LOG") {
        None => read(DEFAULT_FILTER),
        Some(value) => match value.to_str() {
            Some(value) => read(value),
            None => {
                let value = value.to_string_lossy().into_owned();
                Err(FilterError { value, reason: "it is not UTF-8".to_owned() })
            }
        },
    }
}

fn read(value: &str) -> Result<EnvFilter, FilterError> {
    if value.trim().is_empty() {
        return read(DEFAULT_FILTER);
    }
    let refuse = |reason| FilterError { value: value.to_owned(), reason };
    if let Some(word) = unknown_word(value) {
        return Err(refuse(format!("{word:?} is neither a level nor a crate of this program")));
    }
    EnvFilter::try_new(value).map_err(|error| refuse(error.to_string()))
}

/// A directive without `=` that is neither a level nor a crate that logs. It is a valid filter, but
/// it would silence the log: `infoo` means all lines of a crate of that name, and no others.
fn unknown_word(value: &str) -> Option<&str> {
    let known = |word: &str| {
        let krate = word.split("::").next().unwrap_or(word);
        word.parse::<LevelFilter>().is_ok() || CRATES.contains(&krate)
    };
    let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
    // Brackets mean spans, whose fields may contain commas.
    let mut plain = words.filter(|_| !value.contains('[')).filter(|word| !word.contains('='));
    plain.find(|word| !known(word))
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

    /// Writes the queued lines, and returns how many lines were dropped.
    pub(crate) fn end(self) -> usize {
        drop(self.writer);
        self.dropped.dropped_lines()
    }
}

const DEFAULT_FILTER: &str = "info";

/// The crates of the program that log.
const CRATES: &[&str] = &["heist", "heist_net", "heist_reactor", "heist_scheduler", "hyper", "mio"];

/// A few megabytes at most.
const QUEUED_LINES: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    /// Failure: a misspelt level, or an empty variable, silences the log.
    #[test]
    fn filters_that_would_log_nothing_are_refused_and_empty_ones_are_info() {
        for empty in ["", " "] {
            assert_eq!(read(empty).unwrap().to_string(), "info");
        }
        for good in
            ["debug", "WARN", "off", "heist_net=debug,info", "heist_net::server", "3", "x=trace,"]
        {
            read(good).unwrap();
        }
        for bad in ["infoo", "info,debg", "a=b=c", "heist=loud", "hesit"] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("RUST_LOG") && error.contains(bad), "{error}");
        }
    }
}
