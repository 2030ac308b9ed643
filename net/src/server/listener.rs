//! Addresses to listen on, and binding them, before any thread runs.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use socket2::{Domain, SockAddr, Socket, Type};

/// What can be listened on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP port of this machine.
    Tcp(SocketAddr),
    /// A Unix socket, by the path of its file.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Address, ParseAddressError> {
        match text.strip_prefix("unix:") {
            Some("") => Err(ParseAddressError),
            Some(path) => Ok(Address::Unix(path.into())),
            None => text.parse().map(Address::Tcp).map_err(|_| ParseAddressError),
        }
    }
}

/// A text names no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected IP:PORT, [IPv6]:PORT or unix:PATH")]
pub struct ParseAddressError;

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A socket that listens and is not yet under a runtime, so that it can be bound before any thread
/// is started and before privileges are given up.
///
/// To hand it to another process, duplicate its descriptor before the server takes it. A server
/// that ends closes its own descriptor and nothing else: it never shuts the socket down, so whoever
/// has another descriptor of it goes on accepting, and no connection in the backlog is lost.
///
/// ```
/// use heist_net::server::{Address, Listener};
/// use std::os::fd::AsFd;
///
/// let listener = Listener::tcp("127.0.0.1:0".parse()?)?;
/// assert!(matches!(listener.address(), Address::Tcp(address) if address.port() != 0));
///
/// let successors = listener.as_fd().try_clone_to_owned()?;
/// let same = Listener::from_fd(successors)?;
/// assert_eq!(same.address(), listener.address());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    file: Option<SocketFile>,
}

impl Listener {
    /// Listens on `address`; port 0 lets the system choose one.
    ///
    /// The address can be bound again at once after a restart. An IPv6 address listens for IPv6
    /// alone, so that both families can have the same port.
    ///
    /// # Errors
    ///
    /// [`BindError`], with what the system says.
    pub fn tcp(address: SocketAddr) -> Result<Listener, BindError> {
        let bound = || {
            let socket = bind_tcp(address)?;
            Listener::new(socket, None)
        };
        bound().map_err(|source| BindError { address: Address::Tcp(address), source })
    }

    /// Listens on a Unix socket at `path`.
    ///
    /// A socket file that nobody answers on is replaced: it was left by a process that was killed.
    /// The file is removed when the listener is dropped, unless another process has put its own in
    /// the place since, or [`keep_file`](Listener::keep_file) says otherwise.
    ///
    /// # Errors
    ///
    /// [`BindError`], with what the system says.
    pub fn unix(path: impl AsRef<Path>) -> Result<Listener, BindError> {
        let path = path.as_ref();
        let bound = || {
            let socket = bind_unix(path)?;
            Listener::new(socket, Some(SocketFile::new(path)?))
        };
        bound().map_err(|source| BindError { address: Address::Unix(path.to_owned()), source })
    }

    /// Listens on `address`, of whichever family it is.
    ///
    /// # Errors
    ///
    /// As [`tcp`](Listener::tcp) and [`unix`](Listener::unix).
    pub fn bind(address: &Address) -> Result<Listener, BindError> {
        match address {
            Address::Tcp(address) => Listener::tcp(*address),
            Address::Unix(path) => Listener::unix(path),
        }
    }

    /// Takes over a socket that listens already, of either family: inherited from the process that
    /// ran before, or from a service manager. The file of a Unix socket is left where it is in the
    /// end.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the descriptor is no socket that listens; else what the system says.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Listener> {
        let socket = Socket::from(fd);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen"));
        }
        Listener::new(socket, None)
    }

    fn new(socket: Socket, file: Option<SocketFile>) -> io::Result<Listener> {
        let local = socket.local_addr()?;
        let address = match (local.as_socket(), local.as_pathname(), &file) {
            (Some(address), _, _) => Address::Tcp(address),
            (None, _, Some(file)) => Address::Unix(file.path.clone()),
            (None, path, None) => Address::Unix(path.unwrap_or(Path::new("")).to_owned()),
        };
        Ok(Listener { socket, address, file })
    }

    /// Leaves the file of a Unix socket where it is in the end, for a successor that has the same
    /// socket.
    #[must_use = "the listener is consumed"]
    pub fn keep_file(mut self) -> Listener {
        if let Some(file) = &mut self.file {
            file.keep();
        }
        self
    }

    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The socket, and what removes its file.
    pub(super) fn into_parts(self) -> (Socket, Address, Option<SocketFile>) {
        (self.socket, self.address, self.file)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", advice(.source))]
pub struct BindError {
    /// The address.
    pub address: Address,
    /// What the system says.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; end what listens there, or choose another address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        _ => "",
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn bind_unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        outcome => outcome?,
    }
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Whether `path` is a socket that refuses connections. Without blocking: a living listener with a
/// full backlog would keep us waiting, and says `WouldBlock` instead.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    is_socket && refused().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// The file of a Unix socket, removed when this is dropped; unless another process has put its own
/// in the place since.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    keep: bool,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), identity: identity(path)?, keep: false })
    }

    pub(super) fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.keep && identity(&self.path).is_ok_and(|now| now == self.identity) {
            // It is not needed any more; failing to remove it breaks nothing.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// The kernel lowers it to its own bound.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in ["127.0.0.1:8000", "[::1]:0", "unix:/run/heist.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for bad in ["", "localhost", "8000", "unix:", "1.2.3.4"] {
            assert!(bad.parse::<Address>().is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn port_taken_by_another_process_is_refused() {
        let taken = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = Listener::bind(taken.address()).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("end what listens there"), "{error}");
    }

    #[test]
    fn socket_that_does_not_listen_is_refused() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let error = Listener::from_fd(one.into()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn abandoned_socket_file_is_replaced_and_a_kept_one_stays() {
        let file = format!("heist-listener-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(file);
        drop(Listener::unix(&path).unwrap().keep_file());
        assert!(path.exists());
        let listener = Listener::unix(&path).unwrap();
        // A living one is not replaced.
        assert!(Listener::unix(&path).is_err());
        drop(listener);
        assert!(!path.exists());
    }
}
