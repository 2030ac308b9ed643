//! The files of Unix sockets: created, replaced if abandoned, and removed at the end.
//!
//! Between `bind` and `listen` a socket refuses connections, like the socket of a process that was
//! killed. And between the check of a file and its removal another process may create its own
//! there. So a process that creates such a file holds a lock of the directory from before the check
//! until the socket listens. The lock is the kernel's (`flock`): it ends with the process and
//! leaves no file behind.
//!
//! To remove its own file a process needs no lock: it removes the file while its socket still
//! listens, and a listening socket is not replaced. Until the socket is closed, the inode number of
//! its file is not reused, either.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::socket::sys::BACKLOG;

/// Listens at `path`, where there is no file or an abandoned one.
pub(crate) fn bind(path: &Path) -> io::Result<(Socket, SocketFile)> {
    if path.as_os_str().is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is empty"));
    }
    let locked = lock(path, ATTEMPTS)?;
    bind_locked(path, locked.as_ref())
}

/// As [`bind`]; replaces no file if `locked` is `None`.
fn bind_locked(path: &Path, locked: Option<&File>) -> io::Result<(Socket, SocketFile)> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            if locked.is_none() {
                return Err(io::Error::new(error.kind(), CANNOT_REPLACE));
            }
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        outcome => outcome?,
    }
    let file = SocketFile { path: path.to_owned(), identity: identity(path)?, keep: false };
    socket.listen(BACKLOG)?;
    Ok((socket, file))
}

/// The right to create and replace sockets in the directory of `path`, until it is dropped; `None`
/// if this process has no permission or the file system has no locks. Tries `attempts` times.
fn lock(path: &Path, attempts: usize) -> io::Result<Option<File>> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Only a directory: opening a pipe would wait for its other end.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(directory, flags, Mode::empty()) {
        Err(Errno::ACCESS) => return Ok(None),
        opened => File::from(opened?),
    };
    for _ in 0..attempts {
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(directory)),
            // heist holds it for a few system calls. A program that is stopped, or that locks
            // directories for other purposes, must not delay the start for ever.
            Err(Errno::WOULDBLOCK | Errno::INTR) => thread::sleep(BETWEEN_ATTEMPTS),
            Err(_) => return Ok(None),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, HELD))
}

/// Whether `path` is a socket that refuses connections. Non-blocking: a listener with a full
/// backlog would make this call wait, and returns `WouldBlock` instead.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    is_socket && refused().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// The file of a Unix socket, removed when this is dropped, unless another process has put its own
/// file there since. The owner drops it before it closes the socket.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    keep: bool,
}

impl SocketFile {
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.keep && identity(&self.path).is_ok_and(|now| now == self.identity) {
            // A file that stays is replaced by the next bind.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

const CANNOT_REPLACE: &str = "an abandoned socket file is there, and cannot be replaced safely, \
                              because its directory cannot be locked: remove the file";
const HELD: &str = "another process holds the lock (flock) of the directory";

/// 10 s in all.
const ATTEMPTS: usize = 5_000;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, Mutex};

    use super::*;
    use crate::server::Listener;

    const RACERS: usize = 8;

    /// A path for a socket of this process, removed at the end.
    struct SocketPath(PathBuf);

    impl SocketPath {
        fn new(name: &str) -> SocketPath {
            let file = format!("heist-file-{}-{name}.sock", std::process::id());
            SocketPath(std::env::temp_dir().join(file))
        }
    }

    impl Drop for SocketPath {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    /// Leaves an abandoned file at `path`, as a process that was killed does.
    fn abandon(path: &Path) {
        let _ = fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        // A child that another test starts at this moment holds the socket for a while.
        socket2::SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
    }

    /// Whether a connection to `path` reaches `listener`.
    fn is_reached(listener: &Listener, path: &Path) -> bool {
        let client = UnixStream::connect(path).unwrap();
        let socket = socket2::SockRef::from(listener);
        socket.set_nonblocking(true).unwrap();
        let accepted = socket.accept().is_ok();
        drop(client);
        accepted
    }

    /// Failure: of two processes that start at once, each mistakes the other's new file for an
    /// abandoned one and removes it.
    #[test]
    fn one_of_many_that_start_at_once_listens() {
        let path = SocketPath::new("start");
        for round in 0..300 {
            match round % 2 {
                0 => abandon(&path.0),
                _ => drop(fs::remove_file(&path.0)),
            }
            let (start, winners) = (Barrier::new(RACERS), Mutex::new(Vec::new()));
            thread::scope(|scope| {
                for _ in 0..RACERS {
                    scope.spawn(|| {
                        start.wait();
                        match Listener::unix(&path.0) {
                            Ok(listener) => winners.lock().unwrap().push(listener),
                            Err(error) => {
                                assert_eq!(
                                    error.source.kind(),
                                    io::ErrorKind::AddrInUse,
                                    "{error}"
                                );
                            }
                        }
                    });
                }
            });
            let winners = winners.into_inner().unwrap();
            assert_eq!(winners.len(), 1, "in round {round}");
            assert!(is_reached(&winners[0], &path.0), "in round {round}");
        }
    }

    /// Failure: a process that ends removes the file of one that starts meanwhile.
    #[test]
    fn end_of_one_does_not_remove_the_file_of_the_next() {
        let path = SocketPath::new("end");
        let (start, served) = (Barrier::new(RACERS), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..RACERS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..200 {
                        let Ok(listener) = Listener::unix(&path.0) else { continue };
                        assert!(path.0.exists());
                        assert_eq!(UnixStream::connect(&path.0).map(drop).ok(), Some(()));
                        served.fetch_add(1, Ordering::Relaxed);
                        drop(listener);
                    }
                });
            }
        });
        assert!(served.into_inner() >= RACERS);
        assert!(!path.0.exists());
    }

    /// Failure: a program that holds the lock of the directory delays the start for ever.
    #[test]
    fn lock_that_another_program_keeps_is_an_error() {
        let directory = SocketPath::new("held");
        fs::create_dir(&directory.0).unwrap();
        let path = directory.0.join("it.sock");
        let held = lock(&path, 1).unwrap();
        assert!(held.is_some());
        assert_eq!(lock(&path, 2).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop(held);
        drop(Listener::unix(&path).unwrap());
        fs::remove_dir(&directory.0).unwrap();
    }

    /// Failure: in a directory that cannot be locked, another process's new file is replaced.
    #[test]
    fn nothing_is_replaced_without_the_lock() {
        let path = SocketPath::new("unlocked");
        drop(bind_locked(&path.0, None).unwrap());
        abandon(&path.0);
        let error = bind_locked(&path.0, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("remove the file"), "{error}");
        assert!(path.0.exists());
        // With the lock, an abandoned file is replaced.
        assert!(is_reached(&Listener::unix(&path.0).unwrap(), &path.0));
    }
}
