//! The bounds of a server.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::http2_limits::Http2Limits;
use crate::protocol;

/// The bounds of a server, all in force unless set otherwise.
///
/// The defaults are made for a server on the open internet. Those of heads and bodies concern HTTP
/// alone, the others every protocol.
///
/// ```
/// use heist::server::Limits;
///
/// let limits = Limits { connections: 1000, ..Limits::default() };
/// assert_eq!(limits.per_address, 256);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that may be open. At the bound no listener accepts: the kernel's backlog holds new
    /// connections until one ends. Each listener may pass it by one.
    ///
    /// By default 10,000, or half the descriptors that the process may have if that is less: the
    /// other half is for whatever serving needs.
    pub connections: usize,
    /// Connections that may be open of one IPv4 address, or one IPv6 network of 64 bits; one more
    /// is closed at once. By default 256.
    pub per_address: usize,
    /// Whether this machine's own addresses are bounded like all others. By default they are not:
    /// that is where proxies and tests are.
    pub limit_loopback: bool,
    /// How long a connection may take from its accept until its service can begin, where a PROXY header
    /// or a layer such as TLS comes in between. By default 10 s.
    pub handshake_timeout: Duration,
    /// Bytes that a peer may send for that. By default 64 KiB, which holds a chain of client
    /// certificates.
    pub handshake_bytes: usize,
    /// How long the head of a request, or a message of a protocol, may take from its first byte to
    /// its last. By default 15 s.
    pub header_timeout: Duration,
    /// Bytes of a request's head. By default 16 KiB.
    pub header_bytes: usize,
    /// Bytes of a request's target, which is a part of its head; hyper takes 65,534 at most. By
    /// default 8 KiB.
    pub target_bytes: usize,
    /// Header lines of a request, at most [`MOST_HEADERS`](Limits::MOST_HEADERS). By default 100.
    pub headers: usize,
    /// Bytes of a request's body. By default 1 MiB.
    pub max_body: u64,
    /// How long a request's body may stand still. By default 30 s.
    pub body_timeout: Duration,
    /// The least that a peer which is sending something has to send, in bytes a second; 0 for no
    /// such bound. By default 500, which is what Apache's `mod_reqtimeout` asks for: below the
    /// slowest modem, and a thousand times what holding a connection with a byte now and then takes.
    pub min_receive_rate: u32,
    /// The least that a peer has to take of what waits to be sent, in bytes a second; 0 for no such
    /// bound. By default 500.
    pub min_send_rate: u32,
    /// For how long a peer may be slower than the least rate, to begin with. By default 10 s.
    pub rate_grace: Duration,
    /// How long a peer may take nothing of what waits to be sent. By default 30 s.
    pub write_timeout: Duration,
    /// How long nothing at all may be read or written. By default 60 s.
    pub idle_timeout: Duration,
    /// How long nothing may be read or written after a connection has changed from HTTP to another
    /// protocol, such as WebSocket, of which a ping counts as any other byte. By default 10 min: such
    /// connections are made to be quiet, and a peer that has vanished holds its place no longer. A
    /// service may set another value for one connection
    /// ([`UpgradedConnection`](crate::http::UpgradedConnection)).
    pub upgraded_idle_timeout: Duration,
    /// How long a closing connection waits for the peer to close too. By default 5 s.
    pub linger_timeout: Duration,
    /// How many bytes are discarded meanwhile. By default 256 KiB.
    pub linger_bytes: usize,
    /// Bytes that all connections together may buffer. By default 256 MiB.
    pub buffered_bytes: usize,
    /// Whether to refuse new work while the runtime is overloaded, instead of letting all of it wait: that of the
    /// [accounts](super::Accounts) that use most first, as [`Shared::should_shed`](super::Shared::should_shed)
    /// says. By default true.
    pub shed: bool,
    /// Connections that a listener accepts before others have their turn. By default 64.
    pub accepts_a_turn: u32,
    /// When the server drains, how long a connection that was used or accepted just before may
    /// still send one more request: it may be on its way. By default 1 s.
    pub drain_linger: Duration,
    /// When a server that [runs until](super::Server::run_until) a future completes ends, how long its
    /// connections may take to finish before they are force-closed. By default 30 s.
    pub drain_grace: Duration,
    /// How long an HTTP connection may last, give or take a tenth: then it takes no further request, and
    /// ends behind those that it has. `None` for no such bound. By default an hour, as with nginx: so that
    /// clients find servers that were added, and what a connection has counted is forgotten.
    pub max_connection_age: Option<Duration>,
    /// How long the requests of an HTTP/2 connection may go on that is too old, before it is closed all the
    /// same; `None` for no such bound, which is the default: a stream may be meant to last.
    pub connection_age_grace: Option<Duration>,
    /// The bounds of HTTP/2 alone.
    pub http2: Http2Limits,
}

impl Limits {
    /// What these bounds mean for each connection that the engine serves.
    pub(crate) fn of_connection(&self) -> protocol::Limits {
        protocol::Limits {
            idle_timeout: self.idle_timeout,
            message_timeout: self.header_timeout,
            write_timeout: self.write_timeout,
            min_receive_rate: self.min_receive_rate,
            min_send_rate: self.min_send_rate,
            rate_grace: self.rate_grace,
            flush_timeout: self.write_timeout,
            linger_timeout: self.linger_timeout,
            linger_bytes: self.linger_bytes,
            ..protocol::Limits::DEFAULT
        }
    }

    /// The most header lines that a request may have, whatever [`headers`](Limits::headers) says: so
    /// many find room in an [`http::HeaderMap`](https://docs.rs/http/1/http/header/struct.HeaderMap.html).
    pub const MOST_HEADERS: usize = 24_576;
}

impl Default for Limits {
    /// As each of them says. Looks up how many descriptors the process may have.
    fn default() -> Limits {
        Limits {
            connections: default_connections(),
            per_address: 256,
            limit_loopback: false,
            handshake_timeout: Duration::from_secs(10),
            handshake_bytes: 64 * 1024,
            header_timeout: Duration::from_secs(15),
            header_bytes: 16 * 1024,
            target_bytes: 8 * 1024,
            headers: 100,
            max_body: 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            min_receive_rate: 500,
            min_send_rate: 500,
            rate_grace: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            upgraded_idle_timeout: Duration::from_secs(600),
            linger_timeout: Duration::from_secs(5),
            linger_bytes: 256 * 1024,
            buffered_bytes: 256 * 1024 * 1024,
            shed: true,
            accepts_a_turn: 64,
            drain_linger: Duration::from_secs(1),
            drain_grace: Duration::from_secs(30),
            max_connection_age: Some(Duration::from_secs(3600)),
            connection_age_grace: None,
            http2: Http2Limits::default(),
        }
    }
}

fn default_connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(descriptors / 2).unwrap_or(usize::MAX).clamp(1, MOST_CONNECTIONS)
}

const MOST_CONNECTIONS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_leaves_half_of_the_descriptors() {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let connections = Limits::default().connections as u64;
        assert!(connections >= 1 && connections <= 10_000.min(descriptors / 2), "{connections}");
    }
}
