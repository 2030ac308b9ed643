//! The access log: one line for each request.
//!
//! # The way of a line
//!
//! 1. [`recording`](crate::recording) makes an [`Entry`] of a request when its answer has ended.
//! 2. [`Lines`] formats it on the worker and puts it into a bounded queue. It never waits: a line
//!    that finds the queue full is dropped and counted.
//! 3. A thread writes the queued lines to standard output, or to a file, which can be opened again
//!    meanwhile.

mod clock;
mod entry;
mod file;
mod ids;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use metrics::{counter, describe_counter};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

pub(crate) use entry::{Entry, Format, Head};
pub(crate) use ids::{REQUEST_ID, well_formed_id};

use crate::reload::{Kind, Reloads};
use file::{LogFile, Output, WRITE_ERRORS};

/// The opened destination of the lines.
pub(crate) struct AccessLog {
    output: Output,
    file: Option<LogFile>,
    format: Format,
}

/// Puts lines into the queue.
#[derive(Clone)]
pub(crate) struct Lines {
    queue: NonBlocking,
    format: Format,
}

/// The thread that writes. Dropping it writes what is queued, for at most a second.
pub(crate) struct Writer {
    _thread: WorkerGuard,
    dropped: ErrorCounter,
}

impl AccessLog {
    /// Opens `path`, to append to it; `-` is standard output.
    pub(crate) fn open(path: &Path, format: Format) -> Result<AccessLog, AccessLogError> {
        if path == Path::new("-") {
            return Ok(AccessLog { output: Output::stdout(), file: None, format });
        }
        let file = LogFile::open(path)
            .map_err(|source| AccessLogError { path: path.to_owned(), source })?;
        Ok(AccessLog { output: Output::file(&file), file: Some(file), format })
    }

    /// Starts the thread, and adds the file to those that signals reload.
    pub(crate) fn start(self, reloads: &mut Reloads) -> (Lines, Writer) {
        let (queue, thread) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(QUEUED_LINES)
            .thread_name("heist-access")
            .finish(self.output);
        if let Some(file) = self.file {
            reloads.add("access_log", Kind::LogFile, move || file.reopen());
        }
        let dropped = queue.error_counter();
        (Lines { queue, format: self.format }, Writer { _thread: thread, dropped })
    }
}

impl Lines {
    /// Writes a line, unless the queue is full.
    pub(crate) fn write(&self, entry: &Entry) {
        let line = entry.line(self.format);
        // A lossy queue never fails.
        let _ = self.queue.clone().write_all(line.as_bytes());
    }
}

impl Writer {
    /// Counts the lines that were dropped.
    pub(crate) fn dropped_lines(&self) -> ErrorCounter {
        self.dropped.clone()
    }
}

/// Registers the counters of the access log, also if there is none.
pub(crate) fn describe_metrics() {
    describe_counter!(DROPPED, "Lines of the access log dropped as they came too fast.");
    describe_counter!(WRITE_ERRORS, "Writes to the access log that failed.");
    counter!(DROPPED).increment(0);
    counter!(WRITE_ERRORS).increment(0);
}

/// The access log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the access log {}: {source} (--access-log says where)", path.display())]
pub(crate) struct AccessLogError {
    path: PathBuf,
    source: io::Error,
}

pub(crate) const DROPPED: &str = "heist_access_log_dropped_total";

/// 25 MB if each line has the maximal length; typically a few.
const QUEUED_LINES: usize = 8192;
