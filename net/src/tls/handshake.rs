//! The handshake of one connection, of either side.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::session::Nothing;
use super::stream::TlsStream;

/// Why a handshake has ended before it was complete.
pub(super) enum Incomplete {
    /// The connection ended or broke.
    Lost(io::Error),
    /// The peer sent more than it may.
    TooLarge,
    /// The session failed. Its alert waits to be sent.
    Failed {
        error: rustls::Error,
        /// What the peer sent first is no record, but may be text.
        is_text: bool,
    },
}

/// Answers until both sides may send data. The peer may send `limit` bytes for that.
///
/// What the session sends last may wait in it.
pub(super) async fn complete(stream: &mut TlsStream, limit: usize) -> Result<(), Incomplete> {
    let mut received = 0;
    poll_fn(|cx| poll_complete(stream, &mut received, limit, cx)).await
}

/// `received` counts the bytes of the peer.
fn poll_complete(
    stream: &mut TlsStream,
    received: &mut usize,
    limit: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Incomplete>> {
    while stream.session().tls().is_handshaking() {
        ready!(stream.poll_push(cx)).map_err(Incomplete::Lost)?;
        let is_first = *received == 0;
        let mut first = 0;
        let count = ready!(stream.poll_receive(cx, 0, |session, input| {
            first = input[0];
            session.receive(input, &mut Nothing)
        }));
        match count.map_err(Incomplete::Lost)? {
            0 => return Poll::Ready(Err(Incomplete::Lost(io::ErrorKind::UnexpectedEof.into()))),
            count => *received += count,
        }
        let session = stream.session();
        if !session.tls().is_handshaking() {
            // A failure behind it concerns the reads of the service.
            break;
        }
        if let Some(error) = session.failure() {
            let is_text = first.is_ascii_uppercase() && is_first;
            return Poll::Ready(Err(Incomplete::Failed { error: error.clone(), is_text }));
        }
        if *received > limit {
            return Poll::Ready(Err(Incomplete::TooLarge));
        }
    }
    Poll::Ready(Ok(()))
}
