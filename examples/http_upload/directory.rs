//! The directory that files are kept in.
//!
//! A file that is being received is called `upload-….part`, and `upload-…` once it is kept. A server
//! that is killed leaves the former; the next one removes them at its start, if no other server uses
//! the directory. Each holds a shared lock on it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;

/// Makes the directory if it is not there, removes what a killed server left, and checks that files
/// can be made in it.
///
/// The directory is in use until the lock that is returned is dropped.
pub(crate) fn open(directory: &Path) -> io::Result<File> {
    fs::create_dir_all(directory)?;
    let lock = File::open(directory)?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
        remove_part_files(directory)?;
    }
    // Another server that starts now may hold the exclusive lock, but does not keep it.
    flock(&lock, FlockOperation::LockShared)?;
    part_file(directory)?.close()?;
    Ok(lock)
}

fn remove_part_files(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(is_part_file) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes a file of a name that no other has.
pub(crate) fn part_file(directory: &Path) -> io::Result<NamedTempFile> {
    let mut name = tempfile::Builder::new();
    name.prefix(PREFIX).rand_bytes(RANDOM).suffix(SUFFIX).tempfile_in(directory)
}

/// The name under which the part file at `path` is kept.
pub(crate) fn kept_name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_part_file(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX));
    random.is_some_and(|it| it.len() == RANDOM && it.bytes().all(|it| it.is_ascii_alphanumeric()))
}

/// Writes the names in the directory to the disk. Blocks.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

const PREFIX: &str = "upload-";
const RANDOM: usize = 16;
const SUFFIX: &str = ".part";
