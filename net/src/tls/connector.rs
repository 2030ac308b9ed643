//! The client's side of a handshake.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use heist_scheduler::time;
use rustls::pki_types::ServerName;

use super::client_config::ClientConfig;
use super::connect_error::ConnectError;
use super::handshake;
use super::session::Session;
use super::stream::TlsStream;
use crate::connection::transport::Transport;
use crate::socket::stream::Stream;

/// Makes TLS connections of connected sockets: the client's side of TLS.
///
/// A clone is cheap, and shares the sessions that can be resumed. Resumption is by tickets in TLS 1.3; a
/// configuration of rustls may set other ways. There is no early data.
///
/// ```no_run
/// use heist::Transport;
/// use heist::net::TcpStream;
/// use heist::tls::{ClientConfig, Connector};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = ClientConfig::builder().roots("/etc/ssl/certs/ca-certificates.crt").build()?;
/// let connector = Connector::new(config);
///
/// let stream = TcpStream::connect(("example.org", 443)).await?;
/// let mut stream = connector.connect("example.org", stream).await?;
/// stream.write_all(b"GET / HTTP/1.0\r\nhost: example.org\r\n\r\n").await?;
/// # Ok(())
/// # }
/// ```
///
/// A [`Protocol`](crate::Protocol) is put on the stream by [`Connection::on`](crate::Connection::on).
#[derive(Clone, Debug)]
pub struct Connector {
    config: ClientConfig,
    handshake_timeout: Duration,
}

impl Connector {
    /// Connects with `config`.
    pub fn new(config: ClientConfig) -> Connector {
        Connector { config, handshake_timeout: HANDSHAKE_TIMEOUT }
    }

    /// Sets how long a handshake may take; by default 10 s.
    #[must_use]
    pub fn handshake_timeout(mut self, time: Duration) -> Connector {
        self.handshake_timeout = time;
        self
    }

    /// What it connects with.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Makes a TLS connection of `stream`, whose other end is the server `server_name`: a DNS name, or an
    /// IP address. The server has to have a certificate for that.
    ///
    /// The handshake computes in the polls of the task, for about 0.2 ms.
    ///
    /// Cancel-safe: dropping the future closes the socket.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which is the inner error. Its kind is [`TimedOut`](io::ErrorKind::TimedOut),
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a malformed name, that of the socket where the
    /// connection broke, and else [`InvalidData`](io::ErrorKind::InvalidData).
    pub async fn connect(
        &self,
        server_name: &str,
        stream: impl Into<Stream>,
    ) -> io::Result<TlsStream> {
        let handshake = self.handshake(server_name, stream.into());
        match time::timeout(self.handshake_timeout, handshake).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => {
                let server_name = server_name.to_owned();
                Err(ConnectError::TimedOut { server_name, limit: self.handshake_timeout }.into())
            }
        }
    }

    async fn handshake(
        &self,
        server_name: &str,
        stream: Stream,
    ) -> Result<TlsStream, ConnectError> {
        let name = || server_name.to_owned();
        let parsed = ServerName::try_from(name())
            .map_err(|_| ConnectError::InvalidName { server_name: name() })?;
        let session = Session::client(self.config.tls(), parsed)
            .map_err(|error| ConnectError::of(name(), error))?;
        let mut stream = TlsStream::new(stream, session);
        match handshake::complete(&mut stream, HANDSHAKE_BYTES).await {
            // The server has accepted the client only when it has its last flight.
            Ok(()) => poll_fn(|cx| stream.poll_push(cx))
                .await
                .map_err(|source| ConnectError::Lost { server_name: name(), source })?,
            Err(incomplete) => {
                tell(&mut stream).await;
                return Err(ConnectError::incomplete(name(), incomplete));
            }
        }
        Ok(stream)
    }
}

impl From<ClientConfig> for Connector {
    fn from(config: ClientConfig) -> Connector {
        Connector::new(config)
    }
}

/// Sends the alert that says why, as far as the socket takes it at once.
async fn tell(stream: &mut TlsStream) {
    poll_fn(|cx| {
        let _ = stream.poll_shutdown(cx);
        Poll::Ready(())
    })
    .await;
}

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that a server may send for a handshake, which hold a long chain of certificates.
const HANDSHAKE_BYTES: usize = 256 * 1024;
