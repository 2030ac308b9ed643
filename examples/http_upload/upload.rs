//! The files of one form, on their way into the directory.
//!
//! Everything here that touches the disk may block, for as long as the disk likes, and so may
//! nothing that runs on a worker. So an [`Upload`] is a value that moves: it is with the request
//! while that receives, and with a thread of the blocking pool while that writes. A trip there and
//! back takes some twenty microseconds, which is why it takes a [`PIECE`] along each time.
//!
//! While it is away nobody reads the body, so the client is held back, and memory bounded: a piece
//! for each upload, however large that is and however slow the disk.

use std::io::{self, Seek, Write};
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heist::server::Peer;
use heist::{Handle, JoinError, spawn_blocking};
use tempfile::{NamedTempFile, TempPath};

/// Files that are being received. They are all kept in the end, by [`keep`](Upload::keep), or none
/// is: dropping it removes them.
pub(crate) struct Upload {
    directory: Arc<Path>,
    peer: Peer,
    /// The file that comes now, if its beginning was written already.
    open: Option<NamedTempFile>,
    /// What came of it since.
    piece: Vec<u8>,
    /// Those before it.
    received: Vec<(TempPath, Receipt)>,
    kept: bool,
}

/// What became of a file.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// What the client calls it: only to be told back, never used as a path.
    pub(crate) field: String,
    pub(crate) name: String,
    /// What it is called now.
    pub(crate) stored: String,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

/// Why an upload cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("cannot store the file: {0}")]
    Disk(#[from] io::Error),
    /// The blocking pool is bounded, too.
    #[error("too much waits for the disk")]
    Busy,
}

impl From<JoinError> for StoreError {
    fn from(error: JoinError) -> StoreError {
        match error.is_refused() {
            true => StoreError::Busy,
            false => StoreError::Disk(io::Error::other(error.to_string())),
        }
    }
}

impl Upload {
    pub(crate) fn new(directory: Arc<Path>, peer: Peer) -> Upload {
        let (piece, received) = (Vec::new(), Vec::new());
        Upload { directory, peer, open: None, piece, received, kept: false }
    }

    /// How many files are complete.
    pub(crate) fn files(&self) -> usize {
        self.received.len()
    }

    /// Adds `data` to the file that comes now.
    ///
    /// It is copied: to keep it as it is would keep all that was read with it, 64 KiB of memory for
    /// each byte of a client that sends single ones.
    pub(crate) async fn append(mut self, data: &[u8]) -> Result<Upload, StoreError> {
        self.piece.extend_from_slice(data);
        match self.piece.len() < PIECE {
            true => Ok(self),
            false => self.on_disk(Upload::write_piece).await,
        }
    }

    /// Completes the file that comes now, which began to come at `began`.
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
            let path = file.into_temp_path();
            let (stored, took) = (stem(&path), began.elapsed());
            let receipt = Receipt { field, name, stored, bytes, took };
            upload.received.push((path, receipt));
            Ok(())
        };
        self.on_disk(complete).await
    }

    /// Gives all files the names that they keep, in one job: no client changes its mind in between.
    pub(crate) async fn keep(mut self) -> Result<Vec<Receipt>, StoreError> {
        let job = spawn_blocking(move || {
            let received = mem::take(&mut self.received);
            let mut named = Vec::with_capacity(received.len());
            let mut receipts = Vec::with_capacity(received.len());
            for (path, receipt) in received {
                let name = self.directory.join(&receipt.stored);
                path.persist_noclobber(&name).map_err(|failure| failure.error)?;
                named.push(TempPath::try_from_path(name)?);
                receipts.push(receipt);
            }
            // All have their names; until here, the failure of one would have removed the others.
            for name in named {
                name.keep().map_err(|failure| failure.error)?;
            }
            self.kept = true;
            eprintln!("{}: files kept: {}", self.peer, receipts.len());
            Ok::<_, io::Error>(receipts)
        });
        Ok(job.await??)
    }

    /// Goes to the blocking pool, does `work` there, and comes back.
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
            closed => closed.insert(part_file(&self.directory)?),
        };
        file.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

impl Drop for Upload {
    /// Comes here when the client broke off as well as after any failure.
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (peer, open) = (self.peer.clone(), self.open.take());
        let received = mem::take(&mut self.received);
        let remove = move || {
            drop((open, received));
            eprintln!("{peer}: gave the upload up, and removed what there was of it");
        };
        // To remove a large file takes a while. If the pool does not take the job, it drops it, and
        // with it the files, here.
        if let Some(runtime) = Handle::try_current() {
            drop(runtime.spawn_blocking(remove));
        }
    }
}

/// A file of a name that nobody else has.
fn part_file(directory: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix("upload-").rand_bytes(16).suffix(".part").tempfile_in(directory)
}

/// What a part file is called without its ending.
fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What goes to the disk at once.
const PIECE: usize = 128 * 1024;
