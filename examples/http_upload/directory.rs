//! The directory of the files.
//!
//! A file is called `upload-….part` while it is received, and `upload-…` once it is kept. A server
//! that is killed leaves part files. The next one removes them at its start, unless another server
//! uses the directory: each holds a shared lock on it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{self, Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;

/// Creates the directory if it does not exist, removes the part files of a killed server, and
/// checks that files can be kept in it.
///
/// The path that is returned is absolute: a relative one is lost with the working directory. The
/// directory is in use until the lock is dropped.
pub(crate) fn open(directory: &Path) -> io::Result<(PathBuf, File)> {
    create(&path::absolute(directory)?)?;
    let directory = fs::canonicalize(directory)?;
    let lock = File::open(&directory)?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
        remove_part_files(&directory)?;
    }
    // Another server that starts now may hold the exclusive lock, but does not keep it.
    flock(&lock, FlockOperation::LockShared)?;
    check(&directory)?;
    Ok((directory, lock))
}

/// Creates the directory and those above it. A new name is on the disk once the directory above is.
fn create(directory: &Path) -> io::Result<()> {
    let missing: Vec<_> = directory.ancestors().take_while(|it| !it.exists()).collect();
    fs::create_dir_all(directory)?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync)
}

fn remove_part_files(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(is_part_file) {
            match fs::remove_file(entry.path()) {
                // Another process removed it first.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
    }
    Ok(())
}

/// Creates, renames and removes a file, as an upload does.
fn check(directory: &Path) -> io::Result<()> {
    // Should the server be killed here, the new name is that of a part file, too.
    let free = part_file(directory)?.into_temp_path();
    let new_name = free.to_path_buf();
    free.close()?;
    let file = part_file(directory)?.persist_noclobber(&new_name);
    file.map_err(|failure| failure.error)?;
    fs::remove_file(new_name)
}

/// Creates a file of a name that no other has.
pub(crate) fn part_file(directory: &Path) -> io::Result<NamedTempFile> {
    // As `tempfile_in`, which hides the system's number of an error.
    let create = |path: &Path| File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut name = tempfile::Builder::new();
    name.prefix(PREFIX).rand_bytes(RANDOM).suffix(SUFFIX).make_in(directory, create)
}

/// The name of the part file at `path` once it is kept.
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
