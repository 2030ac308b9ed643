//! Addresses to listen on, as text and as values.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An address to listen on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP port of this machine.
    Tcp(SocketAddr),
    /// A Unix socket, by the path of its file.
    Unix(PathBuf),
    /// A Unix socket without a file, by its name in Linux's abstract namespace, without the NUL
    /// that the kernel puts before it. As text it begins with `@`: `unix:@name`. A file of that
    /// name is `unix:./@name`.
    Abstract(Vec<u8>),
}

impl Address {
    /// The address of the Unix socket at `path`, which names no file if it begins with a NUL.
    pub(super) fn of_unix(path: &Path) -> Address {
        match path.as_os_str().as_bytes() {
            [0, name @ ..] => Address::Abstract(name.to_vec()),
            _ => Address::Unix(path.to_owned()),
        }
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Address, ParseAddressError> {
        match text.strip_prefix("unix:") {
            Some("" | "@" | "\0") => Err(ParseAddressError),
            Some(path) => Ok(match path.strip_prefix('@') {
                Some(name) => Address::Abstract(name.into()),
                None => Address::of_unix(path.as_ref()),
            }),
            None => text.parse().map(Address::Tcp).map_err(|_| ParseAddressError),
        }
    }
}

/// The error for a text that is no [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected IP:PORT, [IPv6]:PORT, unix:PATH or unix:@NAME")]
pub struct ParseAddressError;

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) if path.as_os_str().as_bytes().starts_with(b"@") => {
                write!(f, "unix:./{}", path.display())
            }
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            // A NUL inside is shown like the one in front.
            Address::Abstract(name) => {
                write!(f, "unix:@{}", String::from_utf8_lossy(name).replace('\0', "@"))
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        let unix = ["unix:/run/heist.sock", "unix:@name", "unix:@a/../@b", "unix:./@file"];
        for text in ["127.0.0.1:8000", "[::1]:0"].into_iter().chain(unix) {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for bad in ["", "localhost", "8000", "unix:", "unix:@", "1.2.3.4"] {
            assert!(bad.parse::<Address>().is_err(), "{bad} was accepted");
        }
    }
}
