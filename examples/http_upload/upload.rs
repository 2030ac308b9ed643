//! The files of one form, on their way into the directory.
//!
//! Everything here that touches the disk may block, for as long as the disk likes, and so may
//! nothing that runs on a worker. So an [`Upload`] is a value that moves: it is with the request
//! while that receives, and with a thread of the blocking pool while that writes. A trip there and
//! back takes some twenty microseconds, which is why it takes a [`PIECE`] along each time.
//!
//! While it is away the body is not read, so the client is held back, and memory bounded: a piece
//! for each upload, however large that is and however slow the disk.
//!
//! A file is on the disk (`fsync`) before it gets the name that it keeps, and the name is before the
//! client is told. So a file without `.part` at its end is whole, also after a loss of power.

use std::io::{self, Seek, Write};
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heist::server::Peer;
use heist::{Handle, JoinError, spawn_blocking};
use tempfile::{NamedTempFile, TempPath};

use crate::directory;

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
    /// Held for as long as something is done for the upload.
    in_flight: InFlight,
}

/// One of the uploads that are in flight, which are as many as there are clones of this.
pub(crate) type InFlight = Arc<()>;

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
///
/// Its text is for the log: that of an [`io::Error`] may have a path in it.
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
    pub(crate) fn new(directory: Arc<Path>, peer: Peer, in_flight: InFlight) -> Upload {
        let (piece, received) = (Vec::new(), Vec::new());
        Upload { directory, peer, open: None, piece, received, kept: false, in_flight }
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
            file.as_file().sync_all()?;
            let path = file.into_temp_path();
            let (stored, took) = (directory::kept_name(&path), began.elapsed());
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
            directory::sync(&self.directory)?;
            // All have their names; until here, the failure of one would have removed the others.
            for name in named {
                name.keep().map_err(|failure| failure.error)?;
            }
            self.kept = true;
            log(&format!("{}: files kept: {}", self.peer, receipts.len()));
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
            closed => closed.insert(directory::part_file(&self.directory)?),
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
        let (peer, in_flight) = (self.peer.clone(), mem::take(&mut self.in_flight));
        let (open, received) = (self.open.take(), mem::take(&mut self.received));
        let remove = move || {
            drop((open, received, in_flight));
            log(&format!("{peer}: gave the upload up, and removed what there was of it"));
        };
        // To remove a large file takes a while. If the pool does not take the job, it drops it, and
        // with it the files, here.
        if let Some(runtime) = Handle::try_current() {
            drop(runtime.spawn_blocking(remove));
        }
    }
}

/// Writes a line on standard error. That it may be closed is no reason to fail an upload.
pub(crate) fn log(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What goes to the disk at once.
const PIECE: usize = 128 * 1024;
