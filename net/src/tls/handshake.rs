//! The handshake of one connection.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist_scheduler::time;
use rustls::{AlertDescription, InvalidMessage, ServerConfig};

use super::failure::HandshakeError;
use super::session::{Destination, Session};
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
pub(super) async fn accept(
    stream: Stream,
    config: Arc<ServerConfig>,
    bounds: Bounds,
    failed: impl FnOnce(&HandshakeError),
) -> Result<TlsStream, HandshakeError> {
    let session = Session::new(&config).map_err(HandshakeError::of)?;
    drop(config);
    let mut stream = TlsStream::new(stream, session);
    let mut received = 0;
    let outcome = poll_fn(|cx| poll_handshake(&mut stream, &mut received, bounds.bytes, cx)).await;
    let Err(error) = outcome else { return Ok(stream) };
    failed(&error);
    if !stream.session().output.is_empty() && !matches!(error, HandshakeError::Lost(_)) {
        let _ = time::timeout(bounds.linger, linger(&mut stream, bounds.linger_bytes)).await;
    }
    Err(error)
}

/// Reads and answers until the client may send data, and it is known who it is. `received` counts the
/// bytes of the client.
fn poll_handshake(
    stream: &mut TlsStream,
    received: &mut usize,
    limit: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<(), HandshakeError>> {
    while stream.session().tls().is_handshaking() {
        ready!(stream.poll_push(cx)).map_err(HandshakeError::Lost)?;
        let is_first = *received == 0;
        let mut first = 0;
        let count = ready!(stream.poll_receive(cx, 0, |session, input| {
            first = input[0];
            session.receive(input, &mut Nothing)
        }));
        match count.map_err(HandshakeError::Lost)? {
            0 => {
                return Poll::Ready(Err(HandshakeError::Lost(io::ErrorKind::UnexpectedEof.into())));
            }
            count => *received += count,
        }
        let session = stream.session_mut();
        if !session.tls().is_handshaking() {
            // A failure behind it concerns the reads of the service.
            break;
        }
        if let Some(error) = failure(session, first.is_ascii_uppercase() && is_first) {
            return Poll::Ready(Err(error));
        }
        if *received > limit {
            if session.hello().is_none() {
                session.refuse(AlertDescription::HandshakeFailure);
            }
            return Poll::Ready(Err(HandshakeError::TooLarge { limit }));
        }
    }
    // What the session sends last (tickets) goes along with the first answer, or when the service waits.
    Poll::Ready(Ok(()))
}

/// Why the handshake has failed, if it has. Replaces the alert where there is a better answer.
fn failure(session: &mut Session, is_text: bool) -> Option<HandshakeError> {
    let error = session.failure()?.clone();
    if let rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) = error
        && session.hello().is_none()
    {
        if is_text {
            session.output.replace(PLAIN_HTTP);
        }
        return Some(HandshakeError::NotTls);
    }
    let refused = session.hello().filter(|hello| hello.is_refused);
    if let Some(hello) = refused {
        let name = hello.server_name.as_deref().map(str::to_owned);
        session.refuse(AlertDescription::UnrecognisedName);
        return Some(HandshakeError::UnrecognizedName { name });
    }
    Some(HandshakeError::of(error))
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

/// Takes no plaintext: it waits for the service.
struct Nothing;

impl Destination for Nothing {
    fn take(&mut self, _plaintext: &[u8]) -> usize {
        0
    }
}

/// The answer to a client that speaks HTTP without TLS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 32\r\nconnection: close\r\n\r\nThis port speaks TLS: use https\n";
