//! The listening sockets: inherited or bound, before any thread runs.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use heist::server::{Address, BindError, Listener};

use crate::handover::Inherited;

/// All sockets that the program listens on.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) public: Vec<Listener>,
    pub(crate) admin: Option<Listener>,
}

impl Sockets {
    /// Listens on all addresses, or on none. Inherited sockets are used for the addresses they fit;
    /// the others are served, too.
    pub(crate) fn open(
        public: &[Address],
        admin: Option<&Address>,
        inherited: Option<&mut Inherited>,
    ) -> Result<Sockets, SocketError> {
        refuse_twice(public, admin)?;
        let Some(inherited) = inherited else {
            let public = public.iter().map(bind).collect::<Result<_, _>>()?;
            let admin = admin.map(bind).transpose()?;
            return Ok(Sockets { public, admin });
        };
        // All together: exact addresses claim their sockets before those with port 0 do.
        let mut all: Vec<_> = public.to_vec();
        all.extend(admin.cloned());
        let mut public = claim_or_bind(&all, inherited)?;
        let admin = admin.and_then(|_| public.pop());
        public.extend(inherited.unclaimed());
        Ok(Sockets { public, admin })
    }

    /// Second descriptors of all sockets, for a successor, in the order in which
    /// [`open`](Sockets::open) claims them.
    pub(crate) fn duplicates(&self) -> io::Result<Vec<OwnedFd>> {
        let all = self.public.iter().chain(&self.admin);
        all.map(|listener| listener.as_fd().try_clone_to_owned()).collect()
    }
}

/// Why the program cannot listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("cannot listen on {address}: {obstacle} (--listen and --admin say where)")]
    Path { address: Address, obstacle: String },
    #[error("{address} is given twice: choose another address for --listen or --admin")]
    Twice { address: Address },
    #[error("{0} (--listen and --admin say where)")]
    Bind(#[from] BindError),
}

/// Refuses an address that is given twice: binding the second would report it as in use. Port 0 is
/// a different port each time.
fn refuse_twice(public: &[Address], admin: Option<&Address>) -> Result<(), SocketError> {
    let mut seen = Vec::new();
    for address in public.iter().chain(admin) {
        let any_port = matches!(address, Address::Tcp(address) if address.port() == 0);
        if !any_port && seen.contains(&address) {
            return Err(SocketError::Twice { address: address.clone() });
        }
        seen.push(address);
    }
    Ok(())
}

fn claim_or_bind(
    addresses: &[Address],
    inherited: &mut Inherited,
) -> Result<Vec<Listener>, SocketError> {
    let claimed = inherited.claim(addresses);
    let both = addresses.iter().zip(claimed);
    both.map(|(address, claimed)| claimed.map_or_else(|| bind(address), Ok)).collect()
}

fn bind(address: &Address) -> Result<Listener, SocketError> {
    Listener::bind(address).map_err(|error| match address {
        Address::Unix(path) => match obstacle(path, &error.source) {
            Some(obstacle) => SocketError::Path { address: address.clone(), obstacle },
            None => error.into(),
        },
        _ => error.into(),
    })
}

/// Why there can be no socket at `path`, and what to do about it.
fn obstacle(path: &Path, error: &io::Error) -> Option<String> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.display(),
        _ => Path::new(".").display(),
    };
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let kind = fs::symlink_metadata(path).ok()?.file_type();
            if kind.is_dir() {
                return Some("a directory is there; name a file in it".to_owned());
            }
            let what = match kind {
                kind if kind.is_socket() => return None,
                kind if kind.is_file() => "a regular file",
                kind if kind.is_symlink() => "a symbolic link",
                _ => "a file that is no socket",
            };
            Some(format!("{what} is there; remove it or choose another path"))
        }
        io::ErrorKind::PermissionDenied => Some(format!(
            "no permission to make a file in {parent}; grant it to this user or choose another path"
        )),
        io::ErrorKind::NotFound => {
            Some(format!("there is no directory {parent}; make it or choose another path"))
        }
        io::ErrorKind::NotADirectory => Some(format!("{parent} is no directory")),
        _ => None,
    }
}
