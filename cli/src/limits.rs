//! The options that bound what peers may take.

use std::time::Duration;

use clap::Args;
use heist::server::Limits;

use crate::units;

/// The bounds of the server. All are in force unless changed.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitOptions {
    /// Open connections; at this many none is accepted until one ends. 10000, or half the
    /// descriptors if that is less, when not given
    #[arg(long, value_name = "NUMBER", value_parser = units::positive)]
    max_connections: Option<usize>,

    /// Open connections from one IPv4 address or IPv6 /64 network; more are closed. Raise it
    /// behind a proxy, or name the proxy by --proxy-protocol-from
    #[arg(long, value_name = "NUMBER", default_value = "256", value_parser = units::positive)]
    max_connections_per_address: usize,

    /// Apply --max-connections-per-address to this machine's own addresses, too
    #[arg(long)]
    limit_loopback: bool,

    /// Longest time that a TLS handshake may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::patience)]
    handshake_timeout: Duration,

    /// Longest time from the first byte of a request's head to its last
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = units::patience)]
    header_timeout: Duration,

    /// Longest head of a request
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = units::room)]
    max_header_bytes: usize,

    /// Highest number of header lines in a request
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = units::header_lines)]
    max_headers: usize,

    /// Longest request body, such as 64KiB, 10MB or 1GiB; with 0 only empty ones are accepted
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = units::size)]
    max_body: u64,

    /// Longest message of a WebSocket
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = units::room)]
    pub(crate) max_message: usize,

    /// Longest time without a byte of a request body under way
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::patience)]
    body_timeout: Duration,

    /// Longest time in which a client takes no byte of its answer
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::patience)]
    write_timeout: Duration,

    /// Longest time in which a connection neither reads nor writes
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::patience)]
    idle_timeout: Duration,

    /// Longest time in which a WebSocket neither reads nor writes; a ping counts as any byte
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = units::patience)]
    upgraded_idle_timeout: Duration,

    /// Lowest rate in bytes a second of a client that sends a request or takes an answer; 0 for no
    /// bound
    #[arg(long, value_name = "BYTES", default_value = "500", value_parser = units::rate)]
    min_rate: u32,

    /// How long a client may be slower than --min-rate at the start
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::patience)]
    rate_grace: Duration,

    /// How long a closing connection waits for its client to close, so that the last answer
    /// arrives; 0s to close at once
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::duration)]
    linger_timeout: Duration,

    /// Most input in bytes that is discarded meanwhile
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = units::length)]
    linger_bytes: usize,

    /// When the server drains, how long a connection that was used or accepted just before may still
    /// send one more request
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    drain_linger: Duration,

    /// Bytes that all connections together may buffer; a connection that would exceed it is closed
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = units::room)]
    max_buffered: usize,

    /// When overloaded, let all requests wait instead of answering some with 503
    #[arg(long)]
    no_shed: bool,
}

impl LimitOptions {
    /// The limits for the server. Reads the process's limit on descriptors.
    pub(crate) fn to_limits(&self) -> Limits {
        let defaults = Limits::default();
        Limits {
            connections: self.max_connections.unwrap_or(defaults.connections),
            per_address: self.max_connections_per_address,
            limit_loopback: self.limit_loopback,
            handshake_timeout: self.handshake_timeout,
            header_timeout: self.header_timeout,
            header_bytes: self.max_header_bytes,
            headers: self.max_headers,
            max_body: self.max_body,
            body_timeout: self.body_timeout,
            min_receive_rate: self.min_rate,
            min_send_rate: self.min_rate,
            rate_grace: self.rate_grace,
            write_timeout: self.write_timeout,
            idle_timeout: self.idle_timeout,
            upgraded_idle_timeout: self.upgraded_idle_timeout,
            linger_timeout: self.linger_timeout,
            linger_bytes: self.linger_bytes,
            drain_linger: self.drain_linger,
            buffered_bytes: self.max_buffered,
            shed: !self.no_shed,
            ..defaults
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        limits: LimitOptions,
    }

    /// Failure: --help shows other defaults than those of the library, except for the longest body.
    #[test]
    fn defaults_are_those_of_the_library() {
        let options: Only = clap::Parser::try_parse_from(["heist"]).unwrap();
        let limits = options.limits.to_limits();
        assert_eq!(limits.max_body, 1 << 30);
        assert_eq!(Limits { max_body: Limits::default().max_body, ..limits }, Limits::default());
    }
}
