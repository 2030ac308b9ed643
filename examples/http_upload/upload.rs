//! The files of one form, on their way into the directory.
//!
//! Work on the disk may block for long, and nothing that runs on a worker may. So an [`Upload`] is
//! a value that moves: the request has it while it receives, and a thread of the blocking pool
//! while it writes. Going there and back takes some twenty microseconds, so each write is of a
//! [`PIECE`].
//!
//! Meanwhile the body is not read. So the client is held back, and memory is bounded: a piece and a
//! [`CHUNK`] for each upload, however long it is and however slow the disk.
//!
//! A file is on the disk (`fsync`) before it gets the name that it keeps, and the name is before
//! the client is told. So a file without `.part` at its end is whole, also after a loss of power. A
//! server that is killed during [`keep`](Upload::keep) may leave the first files of a form.

use std::io::{self, Seek, Write};
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heist::server::Peer;
use heist::{Handle, JoinError, spawn_blocking};
use tempfile::{NamedTempFile, TempPath};

use crate::directory;

/// Files that are being received. [`keep`](Upload::keep) keeps them all; a drop removes them all.
pub(crate) struct Upload {
    directory: Arc<Path>,
    peer: Peer,
    /// The current file, once part of it is on disk.
    open: Option<NamedTempFile>,
    /// Its bytes not yet written.
    piece: Vec<u8>,
    /// The completed files.
    received: Vec<(TempPath, Receipt)>,
    kept: bool,
    /// Kept until the last work for the upload is done.
    in_flight: InFlight,
}

/// An upload in flight; there are as many as there are clones of it.
pub(crate) type InFlight = Arc<()>;

/// A completed file.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// The client's names, for the answer only: never used as a path.
    pub(crate) field: String,
    pub(crate) name: String,
    /// The name in the directory.
    pub(crate) stored: String,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

/// Why an upload cannot be kept.
///
/// Its text is for the log: that of an [`io::Error`] may have a path in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("cannot store the file: {0}")]
    Disk(#[from] io::Error),
    /// The blocking pool is full or shuts down.
    #[error("the server is busy or stops; try again")]
    Busy,
}

impl From<JoinError> for StoreError {
    fn from(error: JoinError) -> StoreError {
        if error.is_refused() || error.is_cancelled() {
            StoreError::Busy
        } else {
            StoreError::Disk(io::Error::other(error.to_string()))
        }
    }
}

impl Upload {
    pub(crate) fn new(directory: Arc<Path>, peer: Peer, in_flight: InFlight) -> Upload {
        let (piece, received) = (Vec::with_capacity(PIECE + CHUNK), Vec::new());
        Upload { directory, peer, open: None, piece, received, kept: false, in_flight }
    }

    /// The number of completed files.
    pub(crate) fn files(&self) -> usize {
        self.received.len()
    }

    /// Adds `data` to the current file.
    ///
    /// It is copied: a slice keeps all that was read with it, a [`CHUNK`] of memory for each byte
    /// of a client that sends single ones.
    pub(crate) async fn append(mut self, data: &[u8]) -> Result<Upload, StoreError> {
        self.piece.extend_from_slice(data);
        if self.piece.len() < PIECE {
            return Ok(self);
        }
        self.on_disk(Upload::write_piece).await
    }

    /// Completes the current file, which began at `began`.
    pub(crate) async fn end_file(
        self,
        field: String,
        name: String,
        began: Instant,
    ) -> Result<Upload, StoreError> {
        let complete = move |upload: &mut Upload| {
            upload.write_piece()?;
            let Some(mut file) = upload.open.take() else { return Ok(()) };
            let bytes = file.stream_position()?;
            file.as_file().sync_all()?;
            let path = file.into_temp_path();
            let (stored, took) = (directory::kept_name(&path), began.elapsed());
            let receipt = Receipt { field, name, stored, bytes, took };
            upload.received.push((path, receipt));
            Ok(())
        };
        self.on_disk(complete).await
    }

    /// Gives all files the names that they keep, in one job. A disconnect cannot interrupt it.
    pub(crate) async fn keep(mut self) -> Result<Vec<Receipt>, StoreError> {
        let job = spawn_blocking(move || {
            let received = mem::take(&mut self.received);
            let mut named = Vec::with_capacity(received.len());
            let mut receipts = Vec::with_capacity(received.len());
            for (path, receipt) in received {
                let name = self.directory.join(&receipt.stored);
                path.persist_noclobber(&name).map_err(|failure| failure.error)?;
                // It fails without a working directory, but not for an absolute name.
                named.push(TempPath::try_from_path(name)?);
                receipts.push(receipt);
            }
            directory::sync(&self.directory)?;
            // All have their names. Until here, the failure of one removes the others.
            for name in named {
                name.keep().map_err(|failure| failure.error)?;
            }
            self.kept = true;
            log(&format!("{}: files kept: {}", self.peer, receipts.len()));
            Ok::<_, io::Error>(receipts)
        });
        Ok(job.await??)
    }

    /// Moves to the blocking pool, does `work` there, and comes back.
    async fn on_disk(
        mut self,
        work: impl FnOnce(&mut Upload) -> io::Result<()> + Send + 'static,
    ) -> Result<Upload, StoreError> {
        let job = spawn_blocking(move || work(&mut self).map(|()| self));
        Ok(job.await??)
    }

    /// Blocks.
    fn write_piece(&mut self) -> io::Result<()> {
        let file = match &mut self.open {
            Some(file) => file,
            closed => closed.insert(directory::part_file(&self.directory)?),
        };
        file.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

impl Drop for Upload {
    /// Runs after a disconnect or a failure.
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (peer, in_flight) = (self.peer.clone(), mem::take(&mut self.in_flight));
        let (open, received) = (self.open.take(), mem::take(&mut self.received));
        let remove = move || {
            drop((open, received, in_flight));
            log(&format!("{peer}: gave the upload up, and removed what there was of it"));
        };
        // Removing a large file takes long. A pool that is full or shuts down drops the job here,
        // and the files with it: only then a worker may block.
        if let Some(runtime) = Handle::try_current() {
            drop(runtime.spawn_blocking(remove));
        }
    }
}

/// Writes a line to standard error; blocks. No upload fails because it is closed.
pub(crate) fn log(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Bytes per write.
const PIECE: usize = 128 * 1024;

/// The most bytes of one read, together with what the parser held back before.
const CHUNK: usize = 65 * 1024;
