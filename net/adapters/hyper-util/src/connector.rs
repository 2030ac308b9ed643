//! From a URI to a connection.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use heist_net::tls::{self, ClientConfig};
use heist_net::{Stream, TcpStream, UnixStream};
use heist_scheduler::time;
use hyper::Uri;
use tower_service::Service;

use crate::error::ConnectError;
use crate::stream::{HttpInfo, HttpStream};

/// Connects to the host of a URI: a tower service for hyper-util's client, tonic's `Endpoint`, and others
/// that take one.
///
/// A name is looked up off the workers, and its addresses are tried as RFC 8305 says: one that does not
/// answer holds up the next for 250 ms. `https` is TLS, with the protocols `h2` and `http/1.1` unless the
/// configuration offers others.
///
/// ```
/// use std::time::Duration;
///
/// use heist::tls::ClientConfig;
/// use heist_hyper_util::Connector;
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = ClientConfig::builder().roots("/etc/ssl/certs/ca-certificates.crt").build()?;
/// let connector = Connector::new().tls(config).connect_timeout(Duration::from_secs(3));
/// # drop(connector);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Connector {
    tls: Option<tls::Connector>,
    /// The socket in place of the URI's host.
    unix: Option<Arc<Path>>,
    connect_timeout: Duration,
}

impl Connector {
    /// Connects to `http` alone, until [`tls`](Connector::tls) is set.
    pub fn new() -> Connector {
        Connector { tls: None, unix: None, connect_timeout: CONNECT_TIMEOUT }
    }

    /// Connects to the Unix socket at `path`, whatever host a URI names. The host is still sent to the
    /// server, and its certificate is checked against it.
    pub fn unix(path: impl Into<PathBuf>) -> Connector {
        Connector { unix: Some(path.into().into()), ..Connector::new() }
    }

    /// Sets the TLS of `https`.
    #[must_use]
    pub fn tls(mut self, config: ClientConfig) -> Connector {
        let config = match config.alpn() {
            [] => config.with_alpn(["h2", "http/1.1"]),
            _ => config,
        };
        // The time of the connection is that of its handshake, too.
        self.tls = Some(tls::Connector::new(config).handshake_timeout(Duration::MAX));
        self
    }

    /// Sets how long look-up, connection and handshake may take together; by default 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Connector {
        self.connect_timeout = time;
        self
    }

    /// Connects to the host of `uri`.
    ///
    /// Cancel-safe: dropping the future gives the connection up.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Panics
    ///
    /// Outside a runtime of heist.
    pub async fn connect(&self, uri: Uri) -> Result<HttpStream, ConnectError> {
        match time::timeout(self.connect_timeout, self.connect_to(&uri)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::TimedOut { uri, limit: self.connect_timeout }),
        }
    }

    async fn connect_to(&self, uri: &Uri) -> Result<HttpStream, ConnectError> {
        let (tls, port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => match &self.tls {
                None => return Err(ConnectError::NoTls { uri: uri.clone() }),
                tls => (tls.as_ref(), 443),
            },
            _ => return Err(ConnectError::Scheme { uri: uri.clone() }),
        };
        let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
            return Err(ConnectError::NoHost { uri: uri.clone() });
        };
        let (stream, info) = self.open(host, uri.port_u16().unwrap_or(port)).await?;
        match tls {
            None => Ok(HttpStream::plain(stream, info)),
            Some(tls) => {
                let name = host.trim_start_matches('[').trim_end_matches(']');
                let session = tls.connect(name, stream).await.map_err(ConnectError::Tls)?;
                Ok(HttpStream::tls(session, info))
            }
        }
    }

    async fn open(
        &self,
        host: &str,
        port: u16,
    ) -> Result<(Stream, Option<HttpInfo>), ConnectError> {
        if let Some(path) = &self.unix {
            let failed = |source| ConnectError::Unix { path: path.to_path_buf(), source };
            let stream = UnixStream::connect(path).await.map_err(failed)?;
            return Ok((stream.into(), None));
        }
        let limit = self.connect_timeout;
        let stream = TcpStream::connect_timeout((host, port), limit).await;
        let stream = stream.map_err(ConnectError::Tcp)?;
        let addresses = stream.peer_addr().and_then(|remote| Ok((remote, stream.local_addr()?)));
        let (remote, local) = addresses.map_err(ConnectError::Tcp)?;
        Ok((stream.into(), Some(HttpInfo::new(remote, local))))
    }
}

impl Default for Connector {
    fn default() -> Connector {
        Connector::new()
    }
}

impl Service<Uri> for Connector {
    type Response = HttpStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(uri).await })
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
