//! Addresses as the program prints them.

use heist::server::Address;

/// The URL of a TCP address; a Unix socket has none and is shown as it was given.
pub(crate) fn url(address: &Address) -> String {
    match address {
        Address::Tcp(address) => format!("http://{address}/"),
        Address::Unix(_) | Address::Abstract(_) => address.to_string(),
    }
}

/// A command that sends a request to `address`.
pub(crate) fn curl(address: &Address) -> String {
    match address {
        Address::Tcp(_) => format!("curl {}", url(address)),
        Address::Unix(path) => format!("curl --unix-socket {} http://localhost/", path.display()),
        Address::Abstract(name) => {
            let name = String::from_utf8_lossy(name);
            format!("curl --abstract-unix-socket {name} http://localhost/")
        }
    }
}
