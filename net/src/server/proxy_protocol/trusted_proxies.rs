//! The peers that are believed to be proxies.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use crate::socket::peer::Peer;

/// The proxies whose word on the peer of a connection a server takes; see
/// [`Builder::proxy_protocol`](crate::server::Builder::proxy_protocol).
///
/// The default trusts no peer.
///
/// ```
/// use heist::server::{Peer, TrustedProxies, TrustedProxy};
///
/// let proxies: TrustedProxies = [
///     TrustedProxy::Network("10.0.0.0/8".parse()?),
///     TrustedProxy::Unix,
/// ]
/// .into_iter()
/// .collect();
/// assert!(proxies.contains(&Peer::Tcp("10.1.2.3:4567".parse()?)));
/// assert!(!proxies.contains(&Peer::Tcp("192.0.2.1:4567".parse()?)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
}

/// One proxy, or a network of them, whose word is taken.
///
/// It is read from a network (`10.0.0.0/8`, `2001:db8::/32`), from one address, or from the word
/// `unix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrustedProxy {
    /// Peers over TCP with an address of this network. A peer with an IPv4 address that an IPv6 socket
    /// accepted has its IPv4 address here.
    Network(IpNet),
    /// Peers over Unix sockets, all of them.
    Unix,
}

impl TrustedProxies {
    /// Whether `peer` is one of them.
    pub fn contains(&self, peer: &Peer) -> bool {
        match peer.ip() {
            Some(address) => self.networks.iter().any(|network| network.contains(&address)),
            None => self.unix,
        }
    }

    /// Whether no peer is.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }
}

impl FromIterator<TrustedProxy> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = TrustedProxy>>(proxies: I) -> TrustedProxies {
        let mut trusted = TrustedProxies::default();
        for proxy in proxies {
            match proxy {
                TrustedProxy::Network(network) => trusted.networks.push(canonical(network)),
                TrustedProxy::Unix => trusted.unix = true,
            }
        }
        trusted
    }
}

/// The network of IPv4 that a network of mapped addresses (`::ffff:0:0/96`) stands for: peers are
/// compared by their canonical addresses.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let Some(length) = mapped.prefix_len().checked_sub(MAPPED_BITS) else { return network };
    let v4 = mapped.network().to_ipv4_mapped();
    v4.and_then(|v4| Ipv4Net::new(v4, length).ok()).map_or(network, IpNet::V4)
}

impl FromStr for TrustedProxy {
    type Err = ParseTrustedProxyError;

    fn from_str(text: &str) -> Result<TrustedProxy, ParseTrustedProxyError> {
        if text == "unix" {
            return Ok(TrustedProxy::Unix);
        }
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| ParseTrustedProxyError::Malformed)?,
        };
        match network.trunc() == network {
            true => Ok(TrustedProxy::Network(network)),
            false => Err(ParseTrustedProxyError::HostBits { network: network.trunc() }),
        }
    }
}

/// Why a text is no [`TrustedProxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTrustedProxyError {
    /// It is neither a network, nor an address, nor the word `unix`.
    #[error("expected a network such as 10.0.0.0/8 or 2001:db8::/32, an address, or unix")]
    Malformed,
    /// The address has bits behind the prefix, so it may be one or the other that was meant.
    #[error("the address has bits behind the prefix; write {network}, or the address alone")]
    HostBits {
        /// The network without those bits.
        network: IpNet,
    },
}

const MAPPED_BITS: u8 = (Ipv6Addr::BITS - std::net::Ipv4Addr::BITS) as u8;

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(texts: &[&str]) -> TrustedProxies {
        texts.iter().map(|text| text.parse::<TrustedProxy>().unwrap()).collect()
    }

    fn tcp(address: &str) -> Peer {
        Peer::Tcp((address.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn peers_are_trusted_by_network_and_family() {
        let proxies = trusted(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]);
        for address in ["10.255.0.1", "::ffff:10.0.0.1", "2001:db8:1::1", "192.0.2.7"] {
            assert!(proxies.contains(&tcp(address)), "{address}");
        }
        for address in ["11.0.0.1", "2001:db9::", "192.0.2.8", "::10.0.0.1", "127.0.0.1"] {
            assert!(!proxies.contains(&tcp(address)), "{address}");
        }
        assert!(!proxies.contains(&Peer::Unix));
        assert!(trusted(&["unix"]).contains(&Peer::Unix));
        assert!(!trusted(&["unix"]).contains(&tcp("10.0.0.1")));
    }

    #[test]
    fn default_trusts_no_peer() {
        let none = TrustedProxies::default();
        assert!(none.is_empty() && !none.contains(&Peer::Unix) && !none.contains(&tcp("::1")));
        assert!(!trusted(&["unix"]).is_empty() && !trusted(&["::1"]).is_empty());
    }

    #[test]
    fn mapped_networks_are_those_of_ipv4() {
        let proxies = trusted(&["::ffff:10.0.0.0/104", "::ffff:192.0.2.1"]);
        assert!(proxies.contains(&tcp("10.9.9.9")) && proxies.contains(&tcp("192.0.2.1")));
        assert!(!proxies.contains(&tcp("11.0.0.0")) && !proxies.contains(&tcp("192.0.2.2")));
    }

    /// Failure: a network with a typing error is taken for a larger one.
    #[test]
    fn networks_that_are_not_clear_are_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "Unix", "::/129", "a.example", "*"]
        {
            assert_eq!(
                text.parse::<TrustedProxy>(),
                Err(ParseTrustedProxyError::Malformed),
                "{text}"
            );
        }
        let error = "10.0.0.1/8".parse::<TrustedProxy>().unwrap_err();
        assert!(error.to_string().contains("10.0.0.0/8"), "{error}");
    }
}
