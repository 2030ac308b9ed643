//! The server's side of a handshake.

use std::future::poll_fn;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use heist_scheduler::time;
use rustls::{AlertDescription, InvalidMessage, ServerConfig};

use super::failure::HandshakeError;
use super::handshake::{self, Incomplete};
use super::session::Session;
use super::stream::TlsStream;
use crate::connection::transport::Transport;
use crate::socket::stream::Stream;

/// The bounds of a handshake.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes that the client may send until it is complete.
    pub(super) bytes: usize,
    /// After a failure: for how long, and for how many bytes, the client is given time to read why.
    pub(super) linger: Duration,
    pub(super) linger_bytes: usize,
}

/// Makes a TLS connection of an accepted socket. `failed` is told of a failure at once; then the client
/// is given time to read the alert.
///
/// What the session sends last (tickets) goes along with the first answer, or when the service waits.
pub(super) async fn accept(
    stream: Stream,
    config: Arc<ServerConfig>,
    bounds: Bounds,
    failed: impl FnOnce(&HandshakeError),
) -> Result<TlsStream, HandshakeError> {
    let session = Session::server(&config).map_err(HandshakeError::of)?;
    drop(config);
    let mut stream = TlsStream::new(stream, session);
    let outcome = handshake::complete(&mut stream, bounds.bytes).await;
    let Err(incomplete) = outcome else { return Ok(stream) };
    let error = explain(stream.session_mut(), incomplete, bounds.bytes);
    failed(&error);
    if !stream.session().output().is_empty() && !matches!(error, HandshakeError::Lost(_)) {
        let _ = time::timeout(bounds.linger, linger(&mut stream, bounds.linger_bytes)).await;
    }
    Err(error)
}

/// The error for the caller. Replaces the alert where there is a better answer.
fn explain(session: &mut Session, incomplete: Incomplete, limit: usize) -> HandshakeError {
    let (error, is_text) = match incomplete {
        Incomplete::Lost(error) => return HandshakeError::Lost(error),
        Incomplete::TooLarge => {
            if session.hello().is_none() {
                session.refuse(AlertDescription::HandshakeFailure);
            }
            return HandshakeError::TooLarge { limit };
        }
        Incomplete::Failed { error, is_text } => (error, is_text),
    };
    if let rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) = error
        && session.hello().is_none()
    {
        if is_text {
            session.output_mut().replace(PLAIN_HTTP);
        }
        return HandshakeError::NotTls;
    }
    if let Some(hello) = session.hello().filter(|hello| hello.is_refused) {
        let name = hello.server_name.as_deref().map(str::to_owned);
        session.refuse(AlertDescription::UnrecognisedName);
        return HandshakeError::UnrecognizedName { name };
    }
    HandshakeError::of(error)
}

/// Sends what waits, the alert, and reads what the client still sends: a reset would destroy the alert.
async fn linger(stream: &mut TlsStream, mut bytes: usize) {
    let sent = poll_fn(|cx| stream.poll_push(cx)).await;
    let stream = stream.stream().inner();
    if sent.is_err() || stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        match bytes.checked_sub(count) {
            Some(left) => bytes = left,
            None => return,
        }
    }
}

/// The answer to a client that speaks HTTP without TLS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 32\r\nconnection: close\r\n\r\nThis port speaks TLS: use https\n";
