//! A host and port to connect to, and the look-up of its addresses.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use heist_scheduler::{AbortHandle, TaskBuilder};

/// A host and a port to connect to.
///
/// Made from `"example.org:80"`, `("example.org", 80)`, or a [`SocketAddr`], by `into()`. An IPv6
/// address is in brackets in the first form, and with or without them in the second. It may have a
/// zone, as in `fe80::1%eth0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target(Form);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    Text(String),
    Pair(String, u16),
    Address(SocketAddr),
}

impl Target {
    /// The address, if it is one and not a name.
    fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Form::Text(text) => text.parse().ok(),
            Form::Pair(host, port) => match host.parse::<IpAddr>() {
                Ok(ip) => Some(SocketAddr::new(ip, *port)),
                // With a numeric zone. The resolver looks up names of zones.
                Err(_) if host.contains(':') => format!("[{host}]:{port}").parse().ok(),
                Err(_) => None,
            },
            Form::Address(address) => Some(*address),
        }
    }

    pub(super) async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        if let Some(address) = self.address() {
            return Ok(vec![address]);
        }
        let form = self.0.clone();
        let work = move || match form {
            Form::Text(text) => text.to_socket_addrs().map(Vec::from_iter),
            Form::Pair(host, port) => (host, port).to_socket_addrs().map(Vec::from_iter),
            Form::Address(address) => Ok(vec![address]),
        };
        let lookup = TaskBuilder::new().name("resolve").spawn_lookup(work);
        let _given_up = lookup.abort_handle().map(AbortOnDrop);
        lookup.await.map_err(|error| match error.is_refused() {
            true => io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("the look-up was not started: {error}"),
            ),
            false => io::Error::other(error.to_string()),
        })?
    }
}

/// Removes a look-up from the queue when the future that awaits it is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Text(text) => f.write_str(text),
            Form::Pair(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Form::Pair(host, port) => write!(f, "{host}:{port}"),
            Form::Address(address) => address.fmt(f),
        }
    }
}

impl From<&str> for Target {
    fn from(text: &str) -> Target {
        text.to_owned().into()
    }
}

impl From<String> for Target {
    fn from(text: String) -> Target {
        // The resolver takes an address with a zone only without brackets.
        let (host, port) = text.rsplit_once(':').unwrap_or_default();
        match (unbracketed(host), port.parse()) {
            (Some(address), Ok(port)) => Target(Form::Pair(address.to_owned(), port)),
            _ => Target(Form::Text(text)),
        }
    }
}

impl From<&String> for Target {
    fn from(text: &String) -> Target {
        text.as_str().into()
    }
}

impl From<(&str, u16)> for Target {
    fn from((host, port): (&str, u16)) -> Target {
        (host.to_owned(), port).into()
    }
}

impl From<(String, u16)> for Target {
    fn from((host, port): (String, u16)) -> Target {
        let host = match unbracketed(&host) {
            Some(address) => address.to_owned(),
            None => host,
        };
        Target(Form::Pair(host, port))
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Target {
        Target(Form::Address(address))
    }
}

/// The IPv6 address in the brackets of `host`.
fn unbracketed(host: &str) -> Option<&str> {
    let inside = host.strip_prefix('[')?.strip_suffix(']')?;
    inside.contains(':').then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_resolver() {
        for (target, address) in [
            (Target::from("127.0.0.1:80"), "127.0.0.1:80"),
            (Target::from("[::1]:80"), "[::1]:80"),
            (Target::from(("::1", 80)), "[::1]:80"),
            (Target::from(("[::1]", 80)), "[::1]:80"),
            (Target::from("[fe80::1%7]:80"), "[fe80::1%7]:80"),
            (Target::from(("fe80::1%7", 80)), "[fe80::1%7]:80"),
            (Target::from(("[fe80::1%7]", 80)), "[fe80::1%7]:80"),
        ] {
            assert_eq!(target.address(), address.parse().ok());
            assert_eq!(target.to_string(), address);
        }
        for name in ["localhost:80", "localhost", "", "[localhost]:80", "[::1]", "[fe80::1%lo]:80"]
        {
            assert_eq!(Target::from(name).address(), None);
        }
    }
}
