//! What a server does and has done, as plain numbers.

use heist_scheduler::metrics::HistogramSnapshot;

use crate::connection::close_reason::CloseKind;
use crate::connection::refusal::Refusal;

/// What a server does now, and has done since it started; see
/// [`Server::metrics`](super::Server::metrics).
///
/// The numbers of connections are exact; the others are 0 without the feature `metrics`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Connections that are active: serving a request, or in the middle of a message. For those of an
    /// `async` service, [`Builder::accepted`](super::Builder::accepted) says what counts.
    pub connections_active: u64,
    /// Connections that wait for their peer.
    pub connections_idle: u64,
    /// How many connections there may be at once ([`Limits::connections`](super::Limits::connections)).
    pub connections_limit: u64,
    /// Connections that were taken in.
    pub accepted: u64,
    /// Connections that were closed before they were served, by reason.
    pub refused: Vec<(Refusal, u64)>,
    /// Connections that ended, by why.
    pub closed: Vec<(CloseKind, u64)>,
    /// Errors of accepting, by the system's name for them, such as `EMFILE`.
    pub accept_errors: Vec<(&'static str, u64)>,
    /// How long the connections lasted that have ended.
    pub connection_time: HistogramSnapshot,
    /// Bytes read from all sockets.
    pub bytes_read: u64,
    /// Bytes written to all sockets.
    pub bytes_written: u64,
    /// Bytes that the connections buffer now.
    pub buffered_bytes: u64,
    /// How many they may buffer together: the [budget](super::Budget).
    pub buffered_limit: u64,
    /// Requests that were refused because the runtime was overloaded, of [accounts](super::Accounts) that
    /// used at least as much as the average.
    pub shed_heavy: u64,
    /// Those of other accounts.
    pub shed_other: u64,
    /// What is known of requests, if the server speaks HTTP.
    pub http: Option<HttpMetrics>,
    /// What is known of handshakes, if the server speaks TLS.
    pub tls: Option<TlsMetrics>,
}

/// What a server that speaks HTTP counts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpMetrics {
    /// Requests by the status code of their answer; 0 if no answer began, as the peer was gone or the
    /// service panicked.
    pub requests: Vec<(u16, u64)>,
    /// Requests that are being answered now.
    pub in_flight: u64,
    /// Requests that came, of all versions.
    pub begun: u64,
    /// From the call of the service to the end of its response.
    pub request_time: HistogramSnapshot,
    /// Connections that changed to another protocol, such as WebSocket.
    pub upgrades: u64,
    /// Those of them that are open.
    pub upgraded_connections: u64,
    /// What is counted of HTTP/2.
    pub http2: Http2Metrics,
}

/// What is counted of HTTP/2.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Http2Metrics {
    /// Requests over HTTP/2, each on a stream.
    pub streams: u64,
    /// Streams that are open now.
    pub open_streams: u64,
    /// Streams that peers reset.
    pub resets_received: u64,
    /// Streams that the server reset.
    pub resets_sent: u64,
    /// GOAWAY frames that were sent.
    pub goaways_sent: u64,
    /// Connections that were closed because the peer passed a bound of HTTP/2, by which.
    pub violations: Vec<(&'static str, u64)>,
}

impl Http2Metrics {
    /// How many connections were closed for this kind of violation.
    pub fn violations_of(&self, kind: &str) -> u64 {
        self.violations.iter().find(|(label, _)| *label == kind).map_or(0, |(_, count)| *count)
    }
}

/// What a server that speaks TLS counts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsMetrics {
    /// Handshakes that were completed, by version and kind.
    pub handshakes: Vec<HandshakeCount>,
    /// Handshakes that failed, by why.
    pub failed: Vec<(&'static str, u64)>,
    /// How long handshakes took that were completed, from the first look at the connection on.
    pub handshake_time: HistogramSnapshot,
    /// How often the certificates were reloaded.
    pub reloads: u64,
    /// How often that failed, and the old ones stayed.
    pub failed_reloads: u64,
    /// When the first certificate ends, in seconds since 1970.
    pub expires: Option<u64>,
}

/// Completed handshakes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeCount {
    /// The version of TLS: `1.2` or `1.3`.
    pub version: &'static str,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// How many there were.
    pub count: u64,
}

impl HttpMetrics {
    /// Puts together what was counted of requests, without any upgrades.
    pub fn new(
        requests: Vec<(u16, u64)>,
        in_flight: u64,
        request_time: HistogramSnapshot,
    ) -> HttpMetrics {
        let begun = 0;
        let http2 = Http2Metrics::default();
        let (upgrades, upgraded_connections) = (0, 0);
        HttpMetrics {
            requests,
            in_flight,
            begun,
            request_time,
            upgrades,
            upgraded_connections,
            http2,
        }
    }
}

impl TlsMetrics {
    /// How many handshakes failed for this reason.
    pub fn failed_for(&self, reason: &str) -> u64 {
        self.failed.iter().find(|(label, _)| *label == reason).map_or(0, |(_, count)| *count)
    }

    /// How many handshakes were completed, of all kinds.
    pub fn completed(&self) -> u64 {
        self.handshakes.iter().map(|handshakes| handshakes.count).sum()
    }
}

impl Metrics {
    /// How many requests were refused because the runtime was overloaded.
    pub fn shed(&self) -> u64 {
        self.shed_heavy + self.shed_other
    }

    /// How many connections were refused for this reason.
    pub fn refused_for(&self, reason: Refusal) -> u64 {
        self.refused.iter().find(|(refusal, _)| *refusal == reason).map_or(0, |(_, count)| *count)
    }

    /// How many connections ended for this reason.
    pub fn closed_by(&self, reason: CloseKind) -> u64 {
        self.closed.iter().find(|(kind, _)| *kind == reason).map_or(0, |(_, count)| *count)
    }
}
