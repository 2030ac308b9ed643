//! A host and port to connect to or to listen on, and the look-up of its addresses.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};

use heist_scheduler::{AbortHandle, TaskBuilder};

/// A host and a port to connect to or to listen on, or the addresses themselves.
///
/// Made by `into()` from what [`ToSocketAddrs`] is implemented for: `"example.org:80"`,
/// `("example.org", 80)`, an [`IpAddr`] and a port, a [`SocketAddr`], several of them, and
/// references to these. An IPv6 address is in brackets in the first form, and with or without them
/// in the second. It may have a zone, as in `fe80::1%eth0`.
///
/// ```
/// use heist::net::Target;
/// use std::net::{Ipv6Addr, SocketAddr};
///
/// let address: SocketAddr = "[::1]:80".parse()?;
/// assert_eq!(Target::from((Ipv6Addr::LOCALHOST, 80)), Target::from(address));
/// assert_eq!(Target::from(("example.org", 80)).to_string(), "example.org:80");
/// assert_eq!(Target::from([address, address]).to_string(), "[::1]:80, [::1]:80");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target(Form);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    Text(String),
    Pair(String, u16),
    Address(SocketAddr),
    Addresses(Vec<SocketAddr>),
}

impl Target {
    /// The address, if it is a single one and no name.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Form::Text(text) => text.parse().ok(),
            Form::Pair(host, port) => match host.parse::<IpAddr>() {
                Ok(ip) => Some(SocketAddr::new(ip, *port)),
                // With a numeric zone. The resolver looks up names of zones.
                Err(_) if host.contains(':') => format!("[{host}]:{port}").parse().ok(),
                Err(_) => None,
            },
            Form::Address(address) => Some(*address),
            Form::Addresses(addresses) => match addresses[..] {
                [address] => Some(address),
                _ => None,
            },
        }
    }

    /// Whether it was given as a [`SocketAddr`], and not as text or as one of several.
    pub(super) fn is_socket_addr(&self) -> bool {
        matches!(self.0, Form::Address(_))
    }

    pub(super) async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        if let Form::Addresses(addresses) = &self.0 {
            return Ok(addresses.clone());
        }
        if let Some(address) = self.address() {
            return Ok(vec![address]);
        }
        let form = self.0.clone();
        let work = move || match form {
            Form::Text(text) => text.to_socket_addrs().map(Vec::from_iter),
            Form::Pair(host, port) => (host, port).to_socket_addrs().map(Vec::from_iter),
            Form::Address(address) => Ok(vec![address]),
            Form::Addresses(addresses) => Ok(addresses),
        };
        let lookup = TaskBuilder::new().name("resolve").spawn_lookup(work);
        let _given_up = AbortOnDrop(lookup.abort_handle());
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
            Form::Addresses(addresses) => {
                for (index, address) in addresses.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{address}")?;
                }
                Ok(())
            }
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

/// A reference to what a target is made from.
impl<T: Clone + Into<Target>> From<&T> for Target {
    fn from(it: &T) -> Target {
        it.clone().into()
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

impl From<SocketAddrV4> for Target {
    fn from(address: SocketAddrV4) -> Target {
        SocketAddr::from(address).into()
    }
}

impl From<SocketAddrV6> for Target {
    fn from(address: SocketAddrV6) -> Target {
        SocketAddr::from(address).into()
    }
}

impl From<(IpAddr, u16)> for Target {
    fn from(address: (IpAddr, u16)) -> Target {
        SocketAddr::from(address).into()
    }
}

impl From<(Ipv4Addr, u16)> for Target {
    fn from(address: (Ipv4Addr, u16)) -> Target {
        SocketAddr::from(address).into()
    }
}

impl From<(Ipv6Addr, u16)> for Target {
    fn from(address: (Ipv6Addr, u16)) -> Target {
        SocketAddr::from(address).into()
    }
}

impl From<Vec<SocketAddr>> for Target {
    fn from(addresses: Vec<SocketAddr>) -> Target {
        Target(Form::Addresses(addresses))
    }
}

impl From<&[SocketAddr]> for Target {
    fn from(addresses: &[SocketAddr]) -> Target {
        addresses.to_vec().into()
    }
}

impl<const N: usize> From<[SocketAddr; N]> for Target {
    fn from(addresses: [SocketAddr; N]) -> Target {
        addresses.to_vec().into()
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

    /// Every form that tokio's `ToSocketAddrs` takes.
    #[test]
    fn each_form_of_an_address_is_the_same_target() {
        let v6: SocketAddrV6 = "[::1]:80".parse().unwrap();
        let v4: SocketAddrV4 = "127.0.0.1:80".parse().unwrap();
        for target in [
            Target::from(v6),
            SocketAddr::from(v6).into(),
            (&SocketAddr::from(v6)).into(),
            (*v6.ip(), 80).into(),
            (IpAddr::from(*v6.ip()), 80).into(),
        ] {
            assert_eq!(target.address(), Some(v6.into()));
        }
        assert_eq!(Target::from((*v4.ip(), 80)), Target::from(v4));

        let both = [SocketAddr::from(v4), v6.into()];
        for target in [Target::from(both), (&both).into(), both[..].into(), both.to_vec().into()] {
            assert_eq!(
                (target.address(), target.to_string().as_str()),
                (None, "127.0.0.1:80, [::1]:80")
            );
        }
        assert_eq!(Target::from(&both[..1]).address(), Some(both[0]));
        let text = "localhost:80".to_owned();
        assert_eq!(Target::from(&text), Target::from(text.as_str()));
        assert_eq!(Target::from(&("localhost", 80)), Target::from(("localhost".to_owned(), 80)));
    }
}
