//! Why there is no connection.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

/// Why a [`Connector`](crate::Connector) has not connected. Each message names the target.
///
/// It is the source of the error of hyper-util's client, and of tonic's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The scheme is neither `http` nor `https`, or there is none.
    #[error("cannot connect to {uri}: it has to begin with http:// or https://")]
    Scheme {
        /// The target.
        uri: Uri,
    },
    /// There is no host.
    #[error("cannot connect to {uri}: it names no host")]
    NoHost {
        /// The target.
        uri: Uri,
    },
    /// The target needs TLS.
    #[error("cannot connect to {uri}: the connector has no TLS; give it some by `Connector::tls`")]
    NoTls {
        /// The target.
        uri: Uri,
    },
    /// Look-up, connection and handshake took too long.
    #[error("cannot connect to {uri}: it took longer than {limit:?}")]
    TimedOut {
        /// The target.
        uri: Uri,
        /// [`Connector::connect_timeout`](crate::Connector::connect_timeout).
        limit: Duration,
    },
    /// The look-up failed, or no address answered: a [`heist_net::ConnectError`], which names each.
    #[error(transparent)]
    Tcp(io::Error),
    /// The Unix socket did not answer.
    #[error("cannot connect to {}: {source}", path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The handshake failed: a [`heist_net::tls::ConnectError`], which names the server.
    #[error(transparent)]
    Tls(io::Error),
}
