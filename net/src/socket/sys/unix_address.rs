//! Addresses of Unix sockets: a path, or a name of Linux's abstract namespace behind a NUL.

use std::borrow::Cow;
#[cfg(target_os = "linux")]
use std::ffi::OsString;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix;
use std::os::unix::ffi::OsStrExt;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::path::PathBuf;

/// The address of `path`, which is a name of the abstract namespace if it begins with a NUL.
pub(crate) fn unix_address(path: &Path) -> io::Result<unix::net::SocketAddr> {
    match path.as_os_str().as_bytes() {
        [0, name @ ..] => abstract_address(name),
        _ => unix::net::SocketAddr::from_pathname(path),
    }
}

/// The address of a name in the abstract namespace.
#[cfg(target_os = "linux")]
pub(crate) fn abstract_address(name: &[u8]) -> io::Result<unix::net::SocketAddr> {
    unix::net::SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn abstract_address(_name: &[u8]) -> io::Result<unix::net::SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract names of sockets"))
}

/// The reverse of [`unix_address`]; empty for an address without a name.
pub(crate) fn unix_path(address: &unix::net::SocketAddr) -> Cow<'_, Path> {
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_abstract_name() {
        let bytes = [b"\0", name].concat();
        return PathBuf::from(OsString::from_vec(bytes)).into();
    }
    address.as_pathname().unwrap_or(Path::new("")).into()
}
