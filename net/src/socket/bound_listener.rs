//! A listening socket that is bound before any thread runs.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use super::address::Address;
use super::socket_file::{self, SocketFile};
use crate::socket::sys;

/// A listening socket without a runtime: it can be bound before any thread starts and before
/// privileges are given up.
///
/// A server that starts takes back `SO_LINGER` with a time, which its connections would inherit:
/// closing one never waits.
///
/// To hand it to another process, duplicate its descriptor before the server takes it. A server
/// that ends closes its own descriptor and never shuts the socket down: a process that has another
/// descriptor goes on accepting, and no connection in the backlog is lost.
///
/// ```
/// use heist::server::{Address, Listener};
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
    // Before the socket, so that the file is removed while the socket listens.
    file: Option<SocketFile>,
    socket: Socket,
    address: Address,
}

impl Listener {
    /// Listens on `address`; port 0 lets the system choose one.
    ///
    /// The address can be bound again at once after a restart. An IPv6 address listens for IPv6
    /// alone, so that both families can have the same port.
    ///
    /// # Errors
    ///
    /// [`BindError`], with the system's error.
    pub fn tcp(address: SocketAddr) -> Result<Listener, BindError> {
        Listener::bind(&Address::Tcp(address))
    }

    /// Listens on a Unix socket at `path`.
    ///
    /// The file of a socket that refuses connections is replaced: a process that was killed left
    /// it. Of several processes that start at once, one listens and the others get an error; a
    /// short lock (`flock`) of the directory ensures that. The file is removed when the listener is
    /// dropped, unless another process has put its own file there since, or after
    /// [`keep_file`](Listener::keep_file).
    ///
    /// A path that begins with a NUL is a name of Linux's abstract namespace, as
    /// [`Address::Abstract`] has it; there is no file then.
    ///
    /// # Errors
    ///
    /// [`BindError`], with the system's error: `AddrInUse` if another socket listens there, or if
    /// the directory of an abandoned file cannot be locked; `ResourceBusy` if another program holds
    /// that lock for 10 s.
    pub fn unix(path: impl AsRef<Path>) -> Result<Listener, BindError> {
        Listener::bind(&Address::of_unix(path.as_ref()))
    }

    fn at_path(path: &Path) -> io::Result<Listener> {
        let (socket, file) = socket_file::bind(path)?;
        Ok(Listener { file: Some(file), socket, address: Address::Unix(path.to_owned()) })
    }

    /// Listens on `address`, of either family.
    ///
    /// # Errors
    ///
    /// As [`tcp`](Listener::tcp) and [`unix`](Listener::unix).
    pub fn bind(address: &Address) -> Result<Listener, BindError> {
        let bound = match address {
            Address::Tcp(address) => bind_tcp(*address).and_then(Listener::new),
            Address::Unix(path) => Listener::at_path(path),
            Address::Abstract(name) => bind_abstract(name).and_then(Listener::new),
        };
        bound.map_err(|source| BindError { address: address.clone(), source })
    }

    /// Takes over a socket that listens already, of either family: inherited from the previous
    /// process or from a service manager. The file of a Unix socket is not removed.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the descriptor is no listening socket; else the system's error.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Listener> {
        let socket = Socket::from(fd);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen"));
        }
        Listener::new(socket)
    }

    /// A listener without a file of its own.
    fn new(socket: Socket) -> io::Result<Listener> {
        let local = socket.local_addr()?;
        let address = match (local.as_socket(), abstract_name(&local)) {
            (Some(address), _) => Address::Tcp(address),
            (None, Some(name)) => Address::Abstract(name.to_owned()),
            (None, None) => Address::Unix(local.as_pathname().unwrap_or(Path::new("")).to_owned()),
        };
        Ok(Listener { file: None, socket, address })
    }

    /// Keeps the file of a Unix socket when the listener is dropped, for a successor that has the
    /// same socket.
    #[must_use = "the listener is consumed"]
    pub fn keep_file(mut self) -> Listener {
        if let Some(file) = &mut self.file {
            file.keep();
        }
        self
    }

    /// The address that it listens on, with the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The socket, its address, and the guard that removes its file.
    pub(crate) fn into_parts(self) -> (Socket, Address, Option<SocketFile>) {
        (self.socket, self.address, self.file)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The error of [`Listener::bind`]: the address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", advice(.source))]
pub struct BindError {
    /// The address.
    pub address: Address,
    /// The system's error.
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
    socket.listen(sys::BACKLOG)?;
    Ok(socket)
}

/// The name in the abstract namespace, if the address has one.
fn abstract_name(address: &SockAddr) -> Option<&[u8]> {
    #[cfg(target_os = "linux")]
    return address.as_abstract_namespace();
    #[cfg(not(target_os = "linux"))]
    return None;
}

/// Listens under a name of Linux's abstract namespace.
fn bind_abstract(name: &[u8]) -> io::Result<Socket> {
    if name.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name is empty"));
    }
    sys::bind_unix(&sys::abstract_address(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let abandoned = Listener::unix(&path).unwrap().keep_file();
        // A child that another test starts at this moment holds the socket for a while.
        abandoned.socket.shutdown(std::net::Shutdown::Both).unwrap();
        drop(abandoned);
        assert!(path.exists());
        let listener = Listener::unix(&path).unwrap();
        // A file of a socket that listens is not replaced.
        assert!(Listener::unix(&path).is_err());
        drop(listener);
        assert!(!path.exists());
    }
}
