//! A log file that can be opened again, after it was moved away.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::counter;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// A path, and the open file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// Holding this = the right to write to the file, or to replace it.
    file: Arc<Mutex<File>>,
}

/// The destination of a writer. It counts errors, and logs when they begin and end.
#[derive(Debug)]
pub(super) struct Output {
    to: To,
    failing: bool,
}

#[derive(Debug)]
enum To {
    File(Arc<Mutex<File>>),
    Stdout,
}

impl LogFile {
    /// Opens `path` to append to it, and creates it if it is missing.
    pub(super) fn open(path: &Path) -> io::Result<LogFile> {
        Ok(LogFile { path: path.to_owned(), file: Arc::new(Mutex::new(open(path)?)) })
    }

    /// Opens the path again. The next line goes to the file there now; the old file is closed.
    ///
    /// # Errors
    /// If the path cannot be opened. The old file stays in use.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let new = open(&self.path)?;
        let old = std::mem::replace(&mut *lock(&self.file), new);
        drop(old);
        Ok(())
    }
}

impl Output {
    pub(super) fn file(file: &LogFile) -> Output {
        Output { to: To::File(Arc::clone(&file.file)), failing: false }
    }

    pub(super) fn stdout() -> Output {
        Output { to: To::Stdout, failing: false }
    }

    fn note(&mut self, error: Option<&io::Error>) {
        if error.is_some() {
            counter!(WRITE_ERRORS).increment(1);
        }
        match (error, std::mem::replace(&mut self.failing, error.is_some())) {
            (Some(error), false) => tracing::error!(%error, "cannot write to the access log"),
            (None, true) => tracing::info!("the access log can be written to again"),
            _ => {}
        }
    }
}

impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line)?;
        Ok(line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let outcome = match &self.to {
            To::File(file) => lock(file).write_all(line),
            To::Stdout => io::stdout().lock().write_all(line),
        };
        self.note(outcome.as_ref().err());
        outcome
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.to {
            To::File(_) => Ok(()),
            To::Stdout => io::stdout().lock().flush(),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Mode: addresses and request targets are not for every user. Flags: a pipe without a reader is
    // an error here, where a blocking open would wait without a message.
    let flags = OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    // Writes block: the writer waits for a slow reader.
    fcntl_setfl(&file, fcntl_getfl(&file)? - flags)?;
    Ok(file)
}

fn lock(file: &Mutex<File>) -> MutexGuard<'_, File> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) const WRITE_ERRORS: &str = "heist_access_log_write_errors_total";
