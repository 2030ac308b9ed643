//! Addresses as the program prints them.

use heist::server::Address;

/// What a listener speaks, as in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// The URL of a TCP address; a Unix socket has none and is shown as it was given.
pub(crate) fn url(scheme: Scheme, address: &Address) -> String {
    match address {
        Address::Tcp(address) => format!("{}://{address}/", scheme.name()),
        Address::Unix(_) | Address::Abstract(_) => address.to_string(),
    }
}

/// A command that sends a request to `address`. It does not check the certificate, whose name the
/// program does not know.
pub(crate) fn curl(scheme: Scheme, address: &Address) -> String {
    let curl = match scheme {
        Scheme::Http => "curl",
        Scheme::Https => "curl --insecure",
    };
    let localhost = format!("{}://localhost/", scheme.name());
    match address {
        Address::Tcp(_) => format!("{curl} {}", url(scheme, address)),
        Address::Unix(path) => format!("{curl} --unix-socket {} {localhost}", path.display()),
        Address::Abstract(name) => {
            let name = String::from_utf8_lossy(name);
            format!("{curl} --abstract-unix-socket {name} {localhost}")
        }
    }
}
